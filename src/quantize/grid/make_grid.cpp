#include "quantize/grid/make_grid.h"

#include <limits>

#include "base/error.h"
#include "quantize/grid/bilevel.h"
#include "quantize/grid/binary.h"
#include "quantize/grid/split.h"
#include "quantize/grid/uniform.h"
#include "quantize/outliers/frozen.h"
#include "quantize/outliers/sensitivity.h"

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

template <class T>
std::unique_ptr<Grid<T>> make_inner_grid(const LinearRecipe& recipe,
                                         const GridContext<T>& context) {
  switch (recipe.grid.kind) {
    case GridKind::kUniform:
      return std::make_unique<UniformGrid<T>>(uniform_rule(recipe.grid), context.kernels,
                                              context.grouping.groups, context.rows);
    case GridKind::kBilevel:
      return std::make_unique<BilevelGrid<T>>(recipe, context);
    case GridKind::kBinary:
      return std::make_unique<BinaryGrid<T>>(recipe.grid, importance_of(context), context.out,
                                             context.rows, context.kernels, context.threads);
    case GridKind::kSplit:
      require(context.outliers, "grid.kind: split, but no outliers have been decided on");
      return std::make_unique<SplitGrid<T>>(recipe.grid, context);
  }
  fail("grid.kind: not one of the known grids");
}

// Without any spread between rows there is nothing to be sensitive to: no outliers.
template <class T>
double outlier_threshold(const LinearRecipe& recipe, const GridContext<T>& context) {
  if (context.outlier_threshold > 0) return context.outlier_threshold;
  const double mean = mean_sensitivity(context.original, context.out, context.pivots);
  return mean > 0 ? recipe.outliers.tau * mean : std::numeric_limits<double>::infinity();
}

}  // namespace

bool grid_needs_pivots(const LinearRecipe& recipe) {
  return recipe.grid.kind == GridKind::kBinary || recipe.keeps_outliers_beside_grid();
}

template <class T>
std::unique_ptr<Grid<T>> make_grid(const LinearRecipe& recipe, const GridContext<T>& context) {
  std::unique_ptr<Grid<T>> inner = make_inner_grid(recipe, context);
  if (!recipe.keeps_outliers_beside_grid()) return inner;
  if (recipe.outliers.kind == OutlierKind::kLasso)
    return std::make_unique<FrozenOutliers<T>>(std::move(inner), context);
  return std::make_unique<SensitivityOutliers<T>>(
      std::move(inner), recipe, context,
      row_thresholds(outlier_threshold(recipe, context), context));
}

template <class T>
std::vector<T> row_thresholds(double threshold, const GridContext<T>& context) {
  std::vector<T> thresholds(static_cast<size_t>(context.rows), static_cast<T>(threshold));
  for (size_t row = 0; row < context.row_weights.size(); ++row)
    thresholds[row] = static_cast<T>(threshold / context.row_weights[row]);
  return thresholds;
}
template std::vector<float> row_thresholds(double, const GridContext<float>&);
template std::vector<double> row_thresholds(double, const GridContext<double>&);

template std::unique_ptr<Grid<float>> make_grid(const LinearRecipe&, const GridContext<float>&);
template std::unique_ptr<Grid<double>> make_grid(const LinearRecipe&, const GridContext<double>&);

}  // namespace halftone
