// What engines are told, and asked, of modules of a folder.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/format.h"

namespace halftone {

bool is_planned(const OutputPlan& plan, std::string_view linear);

// Whether a linear is one expert's of a mixture, by its name.
bool is_expert(std::string_view linear);

// Of the matrices that were added unchanged (names without ".weight") those that engines would take
// for quantized linears: neither head nor embedding.
std::vector<std::string> plain_linears(const OutputPlan& plan,
                                       const std::set<std::string>& unquantized);

// Whether folders of the architecture hold the experts of a layer in one tensor, which packed ones
// of ours do not (checkpoint/fused_experts.h).
bool has_fused_experts(const OutputPlan& plan);

}  // namespace halftone
