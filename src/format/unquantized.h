// How engines are told which modules a folder leaves unquantized.
#pragma once

#include <string>
#include <string_view>

#include "format/format.h"

namespace halftone {

// How engines call the head.
inline constexpr const char* kHead = "lm_head";

bool is_planned(const OutputPlan& plan, std::string_view linear);

// layer: a module's name. The matrices that no engine takes for linears.
bool is_input_embedding(const std::string& layer);

}  // namespace halftone
