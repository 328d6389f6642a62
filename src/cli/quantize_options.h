// The options that say what a quantization is to be, shared by those who run one and who plan one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"
#include "pipeline/quantize_request.h"

namespace CLI {
class App;
}

namespace halftone {

struct QuantizeOptions {
  std::string model, out, recipe = "halftone", format;
  std::vector<WeighedText> calibration;
  std::string type, mix, embedding, head;  // of a GGUF file
  std::string imatrix;
  std::optional<int64_t> shard_bytes;  // of a GGUF file
  std::optional<std::string> bits, group_size;
  std::vector<std::string> settings;
  int64_t sequences = 128, length = 0, memory_limit = -1;
  uint64_t seed = 0;
  bool requantize = false, strict = false;
  ExecutionOptions execution;
  std::optional<Products> products;
};

// --recipe, --set, --bits, --group-size.
void add_recipe_options(CLI::App& command, QuantizeOptions& options);
// --calibration or --imatrix, and how much of it is taken.
void add_calibration_options(CLI::App& command, QuantizeOptions& options);
// --format, --type, --mix and what else says how the result is stored.
void add_format_options(CLI::App& command, QuantizeOptions& options);

// Errors: options that exclude each other; what the recipe's own parts refuse. Whether a recipe has
// the text that it needs is not looked at.
QuantizeRequest make_request(const QuantizeOptions& options);

}  // namespace halftone
