#include "format/coarse_weights.h"

#include <fmt/format.h>

namespace halftone {

std::string coarse_text(const std::map<std::string, int>& counts) {
  std::string text;
  for (const auto& [kind, count] : counts)
    text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", count, kind);
  return text;
}

}  // namespace halftone
