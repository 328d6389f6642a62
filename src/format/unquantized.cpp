#include "format/unquantized.h"

#include <algorithm>

namespace halftone {

bool is_planned(const OutputPlan& plan, std::string_view linear) {
  return std::any_of(plan.linears.begin(), plan.linears.end(),
                     [&](const LinearPlan& planned) { return planned.name == linear; });
}

bool is_input_embedding(const std::string& layer) {
  for (const char* name : {"embed_tokens", "embed_positions", "embed_in", "wte", "wpe"})
    if (layer == name || layer.ends_with(std::string(".") + name)) return true;
  return false;
}

}  // namespace halftone
