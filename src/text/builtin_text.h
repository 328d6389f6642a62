// The text that a run calibrates on unless it is given one (calibration/README.md).
#pragma once

#include <string_view>

namespace halftone {

std::string_view builtin_text();  // UTF-8, written into the program by cmake/Embed.cmake

}  // namespace halftone
