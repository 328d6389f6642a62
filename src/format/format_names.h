// The output formats by name, for people.
#pragma once

#include <string>

namespace halftone {

// "compressed-tensors, gptq, ... or dense", in the order of formats() (format.h).
std::string format_names();

}  // namespace halftone
