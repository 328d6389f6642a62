// Adaptive LASSO and the split grid written down plainly from methods.md 4.5, 5.3 and 7.1, in
// double precision, one weight at a time. Natural order; live columns only.
#pragma once

#include <optional>

#include "reference_sweep.h"

namespace halftone::testing {

// methods.md 5.3 by search over lambda: lowered from a large value through every value that matters
// until `count` weights are left different from 0; the last step may leave too many, which ties do,
// and then the first in row-major order are taken.
inline std::vector<bool> reference_lasso(const std::vector<double>& weights, int64_t count) {
  const auto shrunk = [](double w, double lambda) {
    const double left = std::max(0.0, std::abs(w) - lambda / std::abs(w));
    return w == 0 ? 0 : std::copysign(left, w);
  };
  std::vector<double> lambdas{0};
  for (const double w : weights) lambdas.push_back(w * w);
  std::sort(lambdas.rbegin(), lambdas.rend());
  std::vector<bool> outlier(weights.size());
  int64_t left = count;
  for (const double lambda : lambdas)
    for (size_t i = 0; i < weights.size() && left > 0; ++i)
      if (!outlier[i] && shrunk(weights[i], lambda * (1 - 1e-12)) != 0) {
        outlier[i] = true;
        --left;
      }
  return outlier;
}

// The two grids of a group.
struct ReferenceSplit {
  ReferenceGrid bulk, outliers;
  bool sign_magnitude = false;
  double floor = 0;

  // code and value of one weight
  std::pair<int, double> round(double w, bool outlier) const {
    if (!outlier) return {bulk.code(w), bulk.value(bulk.code(w))};
    if (!sign_magnitude) return {outliers.code(w), outliers.value(outliers.code(w))};
    const int magnitude = outliers.code(std::max(0.0, std::abs(w) - floor));
    const double value = floor + outliers.value(magnitude);
    return {magnitude + (w < 0 ? (bulk.top + 1) / 2 : 0), w < 0 ? -value : value};
  }
};

inline ReferenceSplit reference_split_fit(const GridOptions& options, double floor,
                                          const std::vector<double>& group,
                                          const std::vector<bool>& outlier) {
  ReferenceSplit split;
  split.sign_magnitude = options.outlier_codes == OutlierCodes::kSignMagnitude;
  split.floor = split.sign_magnitude ? static_cast<float>(floor) : 0;
  std::vector<double> inside, outside;
  for (size_t i = 0; i < group.size(); ++i) {
    if (!outlier[i])
      inside.push_back(group[i]);
    else
      outside.push_back(split.sign_magnitude ? std::max(0.0, std::abs(group[i]) - split.floor)
                                             : group[i]);
  }
  if (inside.empty()) inside.push_back(0);
  if (outside.empty()) outside.push_back(0);
  split.bulk = reference_fit(options, inside);
  GridOptions coded = options;
  if (coded.scale_bits < 0) coded.scale_bits = !options.symmetric && options.bits == 4 ? 7 : 8;
  if (split.sign_magnitude) {
    coded.bits = options.bits - 1;
    coded.symmetric = false;
    coded.zero_min = 0;
  }
  split.outliers = reference_fit(coded, outside);
  return split;
}

struct ReferenceSplitResult {
  std::vector<bool> outlier;  // (out, in)
  ReferenceResult rounded;
};

// weight: (out, in); upper: (in, in) of the damped Hessian, or none for round to nearest.
inline ReferenceSplitResult reference_split_sweep(const Matrix& weight,
                                                  const std::optional<Matrix>& upper,
                                                  const LinearRecipe& recipe) {
  const int64_t out = weight.rows, in = weight.columns;
  const int64_t g = recipe.grid.group_size == 0 ? in : std::min(in, recipe.grid.group_size);
  const bool dynamic = upper && !recipe.order.static_groups;
  const int64_t count = std::llround(recipe.outliers.rate * static_cast<double>(out * in));
  ReferenceSplitResult result{
      reference_lasso(weight.values, count),
      {std::vector<int>(static_cast<size_t>(out * in)), Matrix(out, in), 0}};
  double floor = INFINITY;
  for (size_t i = 0; i < weight.values.size(); ++i)
    if (result.outlier[i]) floor = std::min(floor, std::abs(weight.values[i]));
  for (int64_t row = 0; row < out; ++row) {
    std::vector<double> w(static_cast<size_t>(in));
    for (int64_t j = 0; j < in; ++j) w[j] = weight(row, j);
    const std::vector<double> start = w;
    ReferenceSplit split;
    for (int64_t j = 0; j < in; ++j) {
      const auto outlier = result.outlier.begin() + row * in;
      if (j % g == 0) {
        const std::vector<double>& current = dynamic ? w : start;
        const int64_t end = std::min(in, j + g);
        split =
            reference_split_fit(recipe.grid, floor, {current.begin() + j, current.begin() + end},
                                {outlier + j, outlier + end});
      }
      const auto [code, value] = split.round(w[j], outlier[j]);
      const double e = (w[j] - value) / (upper ? (*upper)(j, j) : 1);
      result.rounded.codes[row * in + j] = code;
      result.rounded.weights(row, j) = value;
      result.rounded.loss += e * e;
      for (int64_t k = j + 1; upper && k < in; ++k) w[k] -= e * (*upper)(j, k);
    }
  }
  return result;
}

}  // namespace halftone::testing
