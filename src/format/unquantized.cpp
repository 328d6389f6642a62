#include "format/unquantized.h"

#include <algorithm>

#include "checkpoint/stored_layout.h"

namespace halftone {

bool is_planned(const OutputPlan& plan, std::string_view linear) {
  return std::ranges::any_of(plan.on_grids(),
                             [&](const LinearPlan& planned) { return planned.name == linear; });
}

bool is_expert(std::string_view linear) {
  return linear.find(".experts.") != std::string_view::npos;
}

std::vector<std::string> plain_linears(const OutputPlan& plan,
                                       const std::set<std::string>& unquantized) {
  std::vector<std::string> names;
  for (const std::string& name : unquantized)
    if (name != plan.head && name != plan.embedding) names.push_back(name);
  return names;
}

bool has_fused_experts(const OutputPlan& plan) {
  return plan.source != nullptr && !stored_layout(plan.source->config()).fused.empty();
}

}  // namespace halftone
