// "did you mean": the known name nearest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace halftone {

// " (did you mean grid.bits?)", or nothing if no known name is near. The part behind a dot counts
// on its own, so that "bits" finds "grid.bits".
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace halftone
