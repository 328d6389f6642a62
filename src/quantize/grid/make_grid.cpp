#include "quantize/grid/make_grid.h"

#include "base/error.h"
#include "quantize/grid/split.h"
#include "quantize/grid/uniform.h"

namespace halftone {

template <class T>
std::unique_ptr<Grid<T>> make_grid(const GridOptions& options, const Grouping& grouping,
                                   int64_t /*out*/, int64_t rows, const LaneKernels<T>& kernels,
                                   const OutlierMask* outliers) {
  switch (options.kind) {
    case GridKind::kUniform:
      return std::make_unique<UniformGrid<T>>(uniform_rule(options), kernels, grouping.groups,
                                              rows);
    case GridKind::kSplit:
      require(outliers, "grid.kind split: no outliers have been decided on");
      return std::make_unique<SplitGrid<T>>(options, grouping, rows, kernels, *outliers);
  }
  fail("grid.kind: not one of the known grids");
}

template std::unique_ptr<Grid<float>> make_grid(const GridOptions&, const Grouping&, int64_t,
                                                int64_t, const LaneKernels<float>&,
                                                const OutlierMask*);
template std::unique_ptr<Grid<double>> make_grid(const GridOptions&, const Grouping&, int64_t,
                                                 int64_t, const LaneKernels<double>&,
                                                 const OutlierMask*);

}  // namespace halftone
