#include "quantize/order.h"

#include <algorithm>
#include <numeric>

namespace halftone {

std::vector<int64_t> column_order(OrderKind kind, std::span<const double> diagonal) {
  std::vector<int64_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  if (kind == OrderKind::kActivation) {
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return diagonal[a] > diagonal[b]; });
  }
  return order;
}

bool Grouping::needs_index() const {
  return refit && !std::is_sorted(columns.begin(), columns.end());
}

std::vector<int64_t> Grouping::positions() const {
  std::vector<int64_t> result(columns.size());
  for (size_t position = 0; position < columns.size(); ++position)
    result[columns[position]] = static_cast<int64_t>(position);
  return result;
}

Grouping group_columns(std::vector<int64_t> columns, int64_t group_size, bool static_groups) {
  const auto in = static_cast<int64_t>(columns.size());
  Grouping grouping;
  grouping.group_size = group_size == 0 ? in : std::min(group_size, in);
  grouping.groups = (in + grouping.group_size - 1) / grouping.group_size;
  grouping.refit = !static_groups && grouping.groups > 1;
  grouping.columns = std::move(columns);
  grouping.group_of.resize(grouping.columns.size());
  for (int64_t position = 0; position < in; ++position) {
    const int64_t column = grouping.refit ? position : grouping.columns[position];
    grouping.group_of[position] = static_cast<int32_t>(column / grouping.group_size);
  }
  return grouping;
}

int64_t block_width(const Grouping& grouping, int64_t fitted) {
  constexpr int64_t wanted = 128;
  if (!grouping.refit) return wanted;
  const int64_t step = std::max(fitted, grouping.group_size);
  return step * std::max<int64_t>(1, wanted / step);
}

}  // namespace halftone
