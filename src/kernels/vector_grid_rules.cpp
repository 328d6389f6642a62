#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "kernels/gguf_codebooks.h"
#include "kernels/vector_grid_kernels.h"

namespace halftone {
namespace {

// A rule and what it points to.
struct Stored {
  std::vector<uint8_t> levels, halves, half_ids;
  std::vector<float> magnitudes;
  std::vector<int16_t> points;  // by key_of their levels; -1: of none
  VectorRule rule;
};

// Of the levels of a point, which take as many bits as make 16 of all.
template <class Level>
size_t key_of(int dims, Level level) {
  size_t key = 0;
  for (int i = 0; i < dims; ++i) key = key << (16 / dims) | level(i);
  return key;
}

// Points have their halves in common.
void split_points(int dims, Stored& made) {
  std::map<std::string, uint8_t> known;
  for (auto half = made.levels.begin(); half != made.levels.end(); half += dims / 2) {
    const std::string levels(half, half + dims / 2);
    const auto [entry, is_new] = known.emplace(levels, static_cast<uint8_t>(known.size()));
    if (is_new) made.halves.insert(made.halves.end(), levels.begin(), levels.end());
    made.half_ids.push_back(entry->second);
  }
}

template <size_t kPoints, size_t kDims>
Stored stored(std::string_view type, const std::array<std::array<int8_t, kDims>, kPoints>& grid,
              bool even, int columns, double unit) {
  Stored made;
  std::vector<float>& magnitudes = made.magnitudes;
  for (const auto& point : grid) magnitudes.insert(magnitudes.end(), point.begin(), point.end());
  std::sort(magnitudes.begin(), magnitudes.end());
  magnitudes.erase(std::unique(magnitudes.begin(), magnitudes.end()), magnitudes.end());
  for (const auto& point : grid)
    for (const int8_t magnitude : point)
      made.levels.push_back(static_cast<uint8_t>(
          std::lower_bound(magnitudes.begin(), magnitudes.end(), magnitude) - magnitudes.begin()));
  split_points(static_cast<int>(kDims), made);
  made.rule = {.type = type,
               .dims = static_cast<int>(kDims),
               .points = static_cast<int>(kPoints),
               .levels = nullptr,
               .halves = nullptr,
               .half_ids = nullptr,
               .half_count = static_cast<int>(made.halves.size() / (kDims / 2)),
               .magnitudes = nullptr,
               .magnitude_count = static_cast<int>(magnitudes.size()),
               .even = even,
               .columns = columns,
               .groups = 256 / columns,
               .unit = unit};
  return made;
}

std::vector<Stored> make_rules() {
  std::vector<Stored> rules;
  rules.push_back(stored("IQ2_XXS", kIq2XxsGrid, true, 32, 0.125));
  rules.push_back(stored("IQ2_XS", kIq2XsGrid, true, 16, 0.125));
  rules.push_back(stored("IQ2_S", kIq2SGrid, false, 16, 0.125));
  rules.push_back(stored("IQ3_XXS", kIq3XxsGrid, true, 32, 0.25));
  rules.push_back(stored("IQ3_S", kIq3SGrid, false, 32, 1));
  for (Stored& each : rules) {
    each.rule.levels = each.levels.data();
    each.rule.halves = each.halves.data();
    each.rule.half_ids = each.half_ids.data();
    each.rule.magnitudes = each.magnitudes.data();
    each.points.assign(1 << 16, -1);
    for (int point = 0; point < each.rule.points; ++point) {
      const uint8_t* levels = each.rule.levels + point * each.rule.dims;
      each.points[key_of(each.rule.dims, [&](int i) { return size_t{levels[i]}; })] =
          static_cast<int16_t>(point);
    }
  }
  return rules;
}

const std::vector<Stored>& rules() {
  static const std::vector<Stored> made = make_rules();
  return made;
}

}  // namespace

const VectorRule* find_vector_rule(std::string_view type) {
  for (const Stored& each : rules())
    if (each.rule.type == type) return &each.rule;
  return nullptr;
}

int64_t point_of(const VectorRule& rule, const uint8_t* codes) {
  for (const Stored& each : rules())
    if (&each.rule == &rule)
      return each.points[key_of(rule.dims, [&](int i) { return size_t{codes[i]} % kNegative; })];
  return -1;
}

bool are_points(const VectorRule& rule, const uint8_t* codes, int64_t count) {
  for (int64_t first = 0; first < count; first += kVectorColumns) {
    int negative = 0;
    for (int i = 0; i < kVectorColumns; ++i) {
      const uint8_t code = codes[first + i];
      if (code % kNegative >= rule.magnitude_count || code >= 2 * kNegative) return false;
      negative += code >= kNegative ? 1 : 0;
    }
    if (rule.even && negative % 2 != 0) return false;
    for (int half = 0; half < kVectorColumns; half += rule.dims)
      if (point_of(rule, codes + first + half) < 0) return false;
  }
  return true;
}

}  // namespace halftone
