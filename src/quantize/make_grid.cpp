#include "quantize/make_grid.h"

#include <limits>

#include "quantize/grid/grid_entries.h"
#include "quantize/outliers/frozen.h"
#include "quantize/outliers/sensitivity.h"

namespace halftone {
namespace {

// Without any spread between rows there is nothing to be sensitive to: no outliers.
template <class T>
double threshold_by_tau(double tau, const GridContext<T>& context) {
  const double mean = mean_sensitivity(context.original, context.out, context.pivots);
  return mean > 0 ? tau * mean : std::numeric_limits<double>::infinity();
}

// The threshold of each row (rows): `threshold` over what the row's errors count. A row that counts
// nothing has no outliers.
template <class T>
std::vector<T> row_thresholds(double threshold, const GridContext<T>& context) {
  std::vector<T> thresholds(static_cast<size_t>(context.rows), static_cast<T>(threshold));
  for (size_t row = 0; row < context.row_weights.size(); ++row)
    thresholds[row] = static_cast<T>(threshold / context.row_weights[row]);
  return thresholds;
}

}  // namespace

bool needs_own_grid(const GridChoice& choice) {
  return grid_entry(choice.grid.kind).needs_pivots || choice.keeps_outliers();
}

template <class T>
std::unique_ptr<Grid<T>> make_grid(const GridChoice& choice, const GridContext<T>& context,
                                   double outlier_threshold) {
  std::unique_ptr<Grid<T>> inner = grid_entry(choice.grid.kind).make<T>(choice, context);
  if (!choice.keeps_outliers()) return inner;
  if (choice.mask != nullptr)
    return std::make_unique<FrozenOutliers<T>>(std::move(inner), *choice.mask, context);
  const double threshold =
      outlier_threshold > 0 ? outlier_threshold : threshold_by_tau(choice.outliers.tau, context);
  return std::make_unique<SensitivityOutliers<T>>(std::move(inner), choice, context,
                                                  row_thresholds(threshold, context));
}

template std::unique_ptr<Grid<float>> make_grid(const GridChoice&, const GridContext<float>&,
                                                double);
template std::unique_ptr<Grid<double>> make_grid(const GridChoice&, const GridContext<double>&,
                                                 double);

}  // namespace halftone
