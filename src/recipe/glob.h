// Globs over the names of linears.
#pragma once

#include <string_view>

namespace halftone {

// True if the whole of `name` matches `pattern`: * is any run of characters (dots too), ? is one
// character.
bool matches_glob(std::string_view pattern, std::string_view name);

}  // namespace halftone
