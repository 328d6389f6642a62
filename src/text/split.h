// What becomes of the matches when text is cut at a pattern.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

namespace halftone {

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// Error: a name that is none of "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
// "Contiguous".
SplitBehavior parse_split_behavior(const std::string& name);

// The pieces of a text of `size` bytes, in order and not empty; `invert`: the gaps between the
// matches are the matches.
std::vector<TextSpan> split_at(const std::vector<TextSpan>& matches, size_t size,
                               SplitBehavior behavior, bool invert);

}  // namespace halftone
