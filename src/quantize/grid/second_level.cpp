#include "quantize/grid/second_level.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/float16.h"

namespace halftone {
namespace {

constexpr double kLeastHalf = 0x1p-24;  // the smallest subnormal

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  bool empty() const { return low > high; }
  void take(double number) {
    low = std::min(low, number);
    high = std::max(high, number);
  }
};

// Of the members that decide; of all that are not 0 where none does.
Range deciding_range(std::span<const RunMember> members) {
  Range range, rest;
  for (const RunMember& member : members) {
    if (!member.flexible) range.take(member.number);
    if (member.number != 0) rest.take(member.number);
  }
  if (!range.empty()) return range;
  return rest.empty() ? Range{0, 0} : rest;
}

// One value for the whole run, under code 0.
RunGrid single_value(double number, bool positive) {
  return {.step = nearest_float16(positive ? std::max(number, kLeastHalf) : number)};
}

RunGrid grid_of(Range range, int top, bool positive) {
  const double reach = std::max(std::abs(range.low), std::abs(range.high));
  const double middle = (range.low + range.high) / 2, spread = range.high - range.low;
  if (!(spread > reach * least_spread(top))) return single_value(middle, positive);
  RunGrid grid{.step = nearest_float16(spread / top), .single = false};
  if (grid.step == 0) return single_value(middle, positive);
  grid.zero = nearest_float16(-range.low / grid.step);
  if (positive) grid.zero = std::min(grid.zero, static_cast<float>(-kLeastHalf));
  return grid;
}

}  // namespace

double least_spread(int top) {
  return std::max(0x1p-10, top * 0x1p-15);
}

RunGrid code_run(std::span<const RunMember> members, int top, bool positive, uint8_t* codes) {
  const Range range = deciding_range(members);
  const RunGrid grid = grid_of(range, top, positive);
  for (size_t i = 0; i < members.size(); ++i) {
    const double number = std::clamp(members[i].number, range.low, range.high);
    const double code = grid.single ? 0 : std::nearbyint(number / grid.step + grid.zero);
    codes[i] = static_cast<uint8_t>(std::clamp(code, 0.0, static_cast<double>(top)));
  }
  return grid;
}

}  // namespace halftone
