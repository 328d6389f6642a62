// In which order the columns are rounded, and which of them share a scale (methods.md 6).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "recipe/linear_recipe.h"

namespace halftone {

// The column swept at each position. Activation order: descending diagonal, before damping, stable
// (dead columns last). diagonal: (in)
std::vector<int64_t> column_order(OrderKind kind, std::span<const double> diagonal);

// How columns are grouped. Static groups are runs of the file's columns, fitted before the sweep;
// dynamic groups are runs of sweep positions, fitted when the sweep gets there.
struct Grouping {
  int64_t group_size = 0;  // 1 .. in
  int64_t groups = 0;
  bool refit = false;             // dynamic groups
  std::vector<int32_t> group_of;  // (in) by sweep position
  std::vector<int64_t> columns;   // (in) the file's column at each sweep position

  bool needs_index() const;                // dynamic groups that are not runs of the file's columns
  std::vector<int64_t> positions() const;  // (in) sweep position of each of the file's columns
};

// group_size: 0 = the whole row. One group over the whole row is always static: it starts before
// anything is rounded.
Grouping group_columns(std::vector<int64_t> columns, int64_t group_size, bool static_groups);

// Width of a lazy block near 128 such that no dynamic group, or run of `fitted` columns of groups
// that are fitted together, starts inside a block and crosses its end (methods.md 7.1).
// fitted: a multiple of the group size; 0: one group
int64_t block_width(const Grouping& grouping, int64_t fitted = 0);

}  // namespace halftone
