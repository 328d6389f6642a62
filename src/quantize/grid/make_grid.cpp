#include "quantize/grid/make_grid.h"

#include "base/error.h"
#include "quantize/grid/binary.h"
#include "quantize/grid/uniform.h"

namespace halftone {

namespace {

// What an error of each position weighs in the sweep's loss: 1 / c^2, and 0 in dead columns.
template <class T>
std::vector<T> importance_of(const GridContext<T>& context) {
  std::vector<T> importance;
  for (const T pivot : context.pivots) importance.push_back(1 / (pivot * pivot));
  const std::vector<int64_t> positions = context.grouping.positions();
  for (const int64_t column : context.dead) importance[positions[column]] = 0;
  return importance;
}

}  // namespace

bool grid_needs_pivots(const LinearRecipe& recipe) {
  if (recipe.grid.kind == GridKind::kBinary) return true;
  return recipe.outliers.kind != OutlierKind::kNone;
}

template <class T>
std::unique_ptr<Grid<T>> make_grid(const LinearRecipe& recipe, const GridContext<T>& context) {
  switch (recipe.grid.kind) {
    case GridKind::kUniform:
      return std::make_unique<UniformGrid<T>>(uniform_rule(recipe.grid), context.kernels,
                                              context.grouping.groups, context.rows);
    case GridKind::kBilevel:
      break;
    case GridKind::kBinary:
      return std::make_unique<BinaryGrid<T>>(recipe.grid, importance_of(context), context.out,
                                             context.rows, context.kernels, context.threads);
  }
  fail("grid.kind: not one of the known grids");
}

template std::unique_ptr<Grid<float>> make_grid(const LinearRecipe&, const GridContext<float>&);
template std::unique_ptr<Grid<double>> make_grid(const LinearRecipe&, const GridContext<double>&);

}  // namespace halftone
