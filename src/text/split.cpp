#include "text/split.h"

#include <algorithm>

#include "base/error.h"

namespace halftone {
namespace {

struct Part {
  TextSpan span;
  bool is_match;
};

// Matches and the gaps between them: the whole text.
std::vector<Part> cover(const std::vector<TextSpan>& matches, size_t size, bool invert) {
  std::vector<Part> parts;
  parts.reserve(matches.size());
  size_t done = 0;
  for (const TextSpan match : matches) {
    if (done < match.begin) parts.push_back({{done, match.begin}, invert});
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done < size) parts.push_back({{done, size}, invert});
  return parts;
}

bool joins_previous(SplitBehavior behavior, const Part& previous, const Part& part) {
  switch (behavior) {
    case SplitBehavior::kMergedWithPrevious:
      return part.is_match && !previous.is_match;
    case SplitBehavior::kMergedWithNext:
      return previous.is_match && !part.is_match;
    case SplitBehavior::kContiguous:
      return previous.is_match == part.is_match;
    default:
      return false;
  }
}

}  // namespace

SplitBehavior parse_split_behavior(const std::string& name) {
  constexpr const char* kNames[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                    "Contiguous"};
  const auto at = std::find(std::begin(kNames), std::end(kNames), name);
  require(at != std::end(kNames), "\"behavior\" \"{}\" is not supported", printable(name));
  return static_cast<SplitBehavior>(at - std::begin(kNames));
}

std::vector<TextSpan> split_at(const std::vector<TextSpan>& matches, size_t size,
                               SplitBehavior behavior, bool invert) {
  const std::vector<Part> parts = cover(matches, size, invert);
  std::vector<TextSpan> pieces;
  pieces.reserve(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (behavior == SplitBehavior::kRemoved && parts[i].is_match) continue;
    if (i > 0 && joins_previous(behavior, parts[i - 1], parts[i]))
      pieces.back().end = parts[i].span.end;
    else
      pieces.push_back(parts[i].span);
  }
  std::erase_if(pieces, [](TextSpan piece) { return piece.begin == piece.end; });
  return pieces;
}

}  // namespace halftone
