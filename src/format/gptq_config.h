// The `quantization_config` of GPTQ files (formats.md 4): what AutoGPTQ, GPTQModel and optimum
// write, and what we write.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "format/detect.h"
#include "format/format.h"

namespace halftone {

struct GptqGrid {
  int bits = 4;
  int64_t group_size = -1;  // -1: the whole row
  bool symmetric = true;
  bool operator==(const GptqGrid&) const = default;
};

struct GptqConfig {
  bool v2 = false;                  // zeros are stored as they are; v1 stores zero - 1
  GptqGrid grid;                    // of every linear
  std::vector<GptqGrid> overrides;  // what `dynamic` allows instead
  bool dynamic_groups = false;      // desc_act: groups in the order of quantization

  // The grids that a linear may have. The regular expressions of `dynamic` are not evaluated: the
  // tensors say which of these a linear has (its bits by the shapes, its groups by g_idx).
  std::vector<GptqGrid> allowed() const;
};

// Errors: values outside what the format has; another packing; adapters.
GptqConfig parse_gptq_config(const QuantizationConfig& config);

// As the engines want it: the commonest grid as the default, the others by name under `dynamic`,
// and there too ("-:", as GPTQModel and vLLM read it) the linears that stay as they are.
// unquantized: names of matrices that are stored plain.
nlohmann::json make_gptq_config(const OutputPlan& plan, const std::set<std::string>& unquantized,
                                bool v2);

}  // namespace halftone
