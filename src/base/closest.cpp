#include "base/closest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace halftone {
namespace {

constexpr size_t kLongestName = 100;

// Levenshtein distance by rows.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
  if (name.size() > kLongestName) return "";
  size_t least = name.size() / 3 + (name.size() > 3) + 1;
  std::string_view closest;
  for (const std::string& candidate : known) {
    const std::string_view whole = candidate;
    const std::string_view part = whole.substr(whole.rfind('.') + 1);
    const size_t distance = std::min(edit_distance(name, whole), edit_distance(name, part));
    if (distance >= least) continue;
    least = distance;
    closest = whole;
  }
  return closest.empty() ? "" : fmt::format(" (did you mean {}?)", closest);
}

}  // namespace halftone
