// White space as Python's str.strip() knows it, which is what lm-evaluation-harness cuts.
#pragma once

#include <string_view>

namespace halftone {

// Both take valid UTF-8.
std::string_view without_trailing_space(std::string_view text);
std::string_view stripped(std::string_view text);

}  // namespace halftone
