// The `quantization_config` of compressed-tensors, format "pack-quantized" (formats.md 5).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "format/detect.h"
#include "format/format.h"

namespace halftone {

// How codes of 3, 5, 6, 7 bits lie in words: dense from 0.19 on, floor(32 / bits) a word up to
// 0.17.
enum class CompressedPacking { kDense, kPadded };

struct CompressedGrid {
  int bits = 4;
  int64_t group_size = 0;  // 0: strategy "channel"
  bool symmetric = true;
  bool operator==(const CompressedGrid&) const = default;
};

struct CompressedConfig {
  struct Group {
    CompressedGrid grid;
    std::vector<std::string> targets;  // module names, class names, "re:..."
  };
  std::vector<Group> groups;
  std::optional<CompressedPacking>
      packing;  // by our metadata or the library's version; absent: not said

  // The grids that a linear may have: those of the groups that name it, else all. Regular
  // expressions and class names are not evaluated: the shapes of the tensors say which of these a
  // linear has.
  std::vector<CompressedGrid> allowed(const std::string& linear) const;
};

// The key of the safetensors metadata with which our files say how they are packed.
inline constexpr const char* kPackingKey = "halftone.packing";

// Errors: unknown keys inside a group, values outside what the format has, transforms, sparsity,
// activations.
CompressedConfig parse_compressed_config(const QuantizationConfig& config,
                                         const std::map<std::string, std::string>& metadata);

// unquantized: names of layers to list under `ignore`. transformers 5.24 with compressed-tensors
// 0.19 and 0.20.1 makes room for zero points of another shape than files have, its own included,
// and refuses them, and looks for the weight of an embedding that is packed, unless the config asks
// it to dequantize as it loads. It takes the first group's
// grid for every linear then, so this is asked where there is one grid only. 5.17 opens folders
// with the key and without.
nlohmann::json make_compressed_config(const OutputPlan& plan,
                                      const std::set<std::string>& unquantized);
// Which reader refuses a folder of the plan, empty if none is known to.
std::string compressed_caution(const OutputPlan& plan);

}  // namespace halftone
