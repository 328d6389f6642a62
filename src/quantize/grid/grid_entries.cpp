#include "quantize/grid/grid_entries.h"

#include "base/error.h"

namespace halftone {

const GridEntry& grid_entry(GridKind kind) {
  static const std::vector<GridEntry> entries = {
      uniform_entry(),     bilevel_entry(), split_entry(),  binary_entry(),
      super_block_entry(), vector_entry(),  trellis_entry()};
  for (const GridEntry& entry : entries)
    if (entry.kind == kind) return entry;
  fail("grid.kind: not one of the known grids");
}

}  // namespace halftone
