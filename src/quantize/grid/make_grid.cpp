#include "quantize/grid/make_grid.h"

#include "base/error.h"
#include "quantize/grid/split.h"
#include "quantize/grid/uniform.h"

namespace halftone {

bool grid_needs_pivots(const LinearRecipe& recipe) {
  return recipe.outliers.kind != OutlierKind::kNone && recipe.grid.kind != GridKind::kSplit;
}

template <class T>
std::unique_ptr<Grid<T>> make_grid(const LinearRecipe& recipe, const GridContext<T>& context) {
  switch (recipe.grid.kind) {
    case GridKind::kUniform:
      return std::make_unique<UniformGrid<T>>(uniform_rule(recipe.grid), context.kernels,
                                              context.grouping.groups, context.rows);
    case GridKind::kBilevel:
      break;
    case GridKind::kSplit:
      require(context.outliers, "grid.kind: split, but no outliers have been decided on");
      return std::make_unique<SplitGrid<T>>(recipe.grid, context.grouping, context.rows,
                                            context.kernels, *context.outliers);
  }
  fail("grid.kind: not one of the known grids");
}

template std::unique_ptr<Grid<float>> make_grid(const LinearRecipe&, const GridContext<float>&);
template std::unique_ptr<Grid<double>> make_grid(const LinearRecipe&, const GridContext<double>&);

}  // namespace halftone
