// From one format to another without touching a weight: the `convert` command without its printing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/progress.h"

namespace halftone {

struct ConvertRequest {
  std::filesystem::path model, out;
  std::string format;
  // Empty, or, gguf: of matrices that are not quantized (F32, F16, BF16, Q8_0); dense: F32.
  std::string type = {};
  std::optional<int64_t> shard_bytes = {};  // gguf: as in QuantizeRequest
  bool overwrite = false;

  bool is_exact() const { return format == "dense" && type == "F32"; }
};

// Reads a quantized folder of any format and writes it in another; `dense` de-quantizes and rounds
// once to the model's type (or, as F32, not at all), `gguf` takes a plain folder as well. Returns
// {halftone_version, from, format, verified, source, bytes, bits_per_weight, notes (lines, where
// there are any)} ("source": bits_per_weight and bytes of what was read). Linears that were left
// unquantized stay so. Errors, before anything is written: a model that is not quantized (but for
// gguf); a format that cannot hold its grids (the message names those that can); numbers that are
// NaN or infinite; an existing output.
nlohmann::json convert_model(const ConvertRequest& request, Progress& progress);

}  // namespace halftone
