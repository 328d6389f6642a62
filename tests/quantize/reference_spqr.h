// SpQR written down plainly from methods.md 4.2, 5.1 and 7.1 in double precision: leaving one out
// by fitting every rest anew, all rows of a run together, one weight at a time. Slow and obvious;
// nothing of src/quantize is used but the recipe.
#pragma once

#include <numeric>

#include "reference_sweep.h"

namespace halftone::testing {

struct ReferenceOutliers {
  std::vector<int> codes;  // (out, in), file order; under an outlier the code of 0
  std::vector<int> mask;   // (out, in), 1: kept outside the grid
  Matrix weights;          // (out, in), what is stored
  double loss = 0;         // sum of e^2
};

// The float16 number nearest to x, half to even, never beyond the greatest.
inline double reference_half(double x) {
  if (x == 0) return 0;
  int exponent = 0;
  std::frexp(x, &exponent);
  const int unit = std::max(exponent - 11, -24);
  return std::clamp(std::ldexp(std::nearbyint(std::ldexp(x, -unit)), unit), -65504.0, 65504.0);
}

// Too close together to be told apart (methods.md 4.2).
inline bool reference_nearly_equal(double low, double high, int top) {
  const double reach = std::max(std::abs(low), std::abs(high));
  return high - low <= reach * std::max(std::ldexp(1, -10), std::ldexp(top, -15));
}

// methods.md 5.1, step A: w quantized on a min-max grid fitted to all but `without` (-1: to all);
// the sum of ((w - value) / c)^2 over the same.
inline double reference_group_error(const std::vector<double>& w, const std::vector<double>& c,
                                    const GridOptions& options, int64_t without) {
  const int top = (1 << options.bits) - 1;
  double low = INFINITY, high = -INFINITY, sum = 0;
  for (size_t k = 0; k < w.size(); ++k) {
    if (static_cast<int64_t>(k) == without) continue;
    low = std::min(low, w[k]);
    high = std::max(high, w[k]);
  }
  const double reach = std::max(std::abs(low), std::abs(high));
  if (!(high - low > reach * std::ldexp(1, -20))) return 0;  // one number: the grid hits it
  const double scale = (options.symmetric ? 2 * reach : high - low) / top;
  const double zero = options.symmetric ? (top + 1) / 2 : -low / scale;
  for (size_t k = 0; k < w.size(); ++k) {
    if (static_cast<int64_t>(k) == without) continue;
    const double code = std::clamp<double>(std::nearbyint(w[k] / scale + zero), 0, top);
    const double e = (w[k] - scale * (code - zero)) / c[k];
    sum += e * e;
  }
  return sum;
}

// Step A: the group as the grid is fitted to it.
inline std::vector<double> reference_softened(const std::vector<double>& w,
                                              const std::vector<double>& c,
                                              const GridOptions& options, double threshold) {
  const double base = reference_group_error(w, c, options, -1);
  std::vector<bool> outlier(w.size());
  double sum = 0, count = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    const double rest = reference_group_error(w, c, options, static_cast<int64_t>(j));
    outlier[j] = w.size() > 1 ? base - rest > threshold : base > threshold;
    if (!outlier[j]) sum += w[j], ++count;
  }
  std::vector<double> softened = w;
  for (size_t j = 0; j < w.size(); ++j)
    if (outlier[j] && count > 0) softened[j] = sum / count;
  return softened;
}

struct ReferenceScaleZero {
  double scale = 1, zero = 0;
  bool constant = false;
};

// The first level of one row and group (methods.md 4.1).
inline ReferenceScaleZero reference_first_level(const GridOptions& options,
                                                const std::vector<double>& w) {
  const int top = (1 << options.bits) - 1;
  double low = *std::min_element(w.begin(), w.end()), high = *std::max_element(w.begin(), w.end());
  const double reach = std::max(std::abs(low), std::abs(high));
  const bool constant = reference_nearly_equal(low, high, top);
  if (options.symmetric)
    return {constant ? reach : 2 * reach / top, static_cast<double>((top + 1) / 2), constant};
  if (constant) return {reach, low < 0 ? 1.0 : 0.0, true};
  if (options.round_zero && options.qq_zero_bits >= options.bits) {
    low = std::min(low, 0.0);
    high = std::max(high, 0.0);
  }
  const double scale = (high - low) / top, zero = -low / scale;
  return {scale, options.round_zero ? std::nearbyint(zero) : zero, false};
}

// The second level of a run: what each number becomes. flexible: of constant groups.
inline std::vector<double> reference_second_level(const std::vector<double>& numbers,
                                                  const std::vector<bool>& flexible, int bits,
                                                  bool positive) {
  const int top = (1 << bits) - 1;
  std::vector<double> decide;
  for (size_t i = 0; i < numbers.size(); ++i)
    if (!flexible[i]) decide.push_back(numbers[i]);
  if (decide.empty())
    for (const double number : numbers)
      if (number != 0) decide.push_back(number);
  if (decide.empty()) decide.push_back(0);
  const double low = *std::min_element(decide.begin(), decide.end());
  const double high = *std::max_element(decide.begin(), decide.end());
  const double step = reference_half((high - low) / top);
  std::vector<double> result;
  for (const double number : numbers) {
    if (reference_nearly_equal(low, high, top) || step == 0) {
      const double middle = (low + high) / 2;
      result.push_back(reference_half(positive ? std::max(middle, std::ldexp(1, -24)) : middle));
      continue;
    }
    double zero = reference_half(-low / step);
    if (positive) zero = std::min(zero, -std::ldexp(1, -24));
    const double code =
        std::clamp<double>(std::nearbyint(std::clamp(number, low, high) / step + zero), 0, top);
    // as a reader computes it
    const float difference = static_cast<float>(code) - static_cast<float>(zero);
    result.push_back(static_cast<float>(step) * difference);
  }
  return result;
}

// Mean over columns of the variance over rows / c^2.
inline double reference_mean_sensitivity(const ReferenceProblem& problem) {
  const Matrix& w = problem.weight;
  double sum = 0;
  for (int64_t p = 0; p < w.columns; ++p) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < w.rows; ++i)
      mean += w(i, problem.order[p]) / static_cast<double>(w.rows);
    for (int64_t i = 0; i < w.rows; ++i) squares += std::pow(w(i, problem.order[p]) - mean, 2);
    sum += squares / static_cast<double>(w.rows - 1) / std::pow(problem.upper(p, p), 2);
  }
  return sum / static_cast<double>(w.columns);
}

// weight: (out, in), out > 1; hessian: (in, in). Dead columns are left out of it.
inline ReferenceOutliers reference_spqr(const Matrix& weight, const Matrix& hessian,
                                        const LinearRecipe& recipe) {
  const ReferenceProblem problem = reference_problem(weight, hessian, recipe);
  const GridOptions& grid = recipe.grid;
  const int64_t out = weight.rows, in = weight.columns, g = problem.group_size;
  const int top = (1 << grid.bits) - 1;
  const bool outliers = recipe.outliers.kind == OutlierKind::kSpqr;
  const double threshold =
      outliers ? recipe.outliers.tau * reference_mean_sensitivity(problem) : INFINITY;
  const auto all = static_cast<size_t>(out * in);
  ReferenceOutliers result{std::vector<int>(all), std::vector<int>(all), Matrix(out, in), 0};
  for (int64_t first = 0; first < out; first += grid.qq_groupsize) {
    const int64_t last = std::min(out, first + grid.qq_groupsize);
    Matrix w(out, in);  // by position; rows of this run only
    for (int64_t i = first; i < last; ++i)
      for (int64_t p = 0; p < in; ++p) w(i, p) = problem.weight(i, problem.order[p]);
    std::vector<std::vector<double>> scales(static_cast<size_t>((in + g - 1) / g)), zeros = scales;
    const auto fit = [&](int64_t group, const std::vector<int64_t>& positions) {
      std::vector<double> c, scale, zero;
      std::vector<bool> constant;
      for (const int64_t p : positions) c.push_back(problem.upper(p, p));
      for (int64_t i = first; i < last; ++i) {
        std::vector<double> members;
        for (const int64_t p : positions) members.push_back(w(i, p));
        if (outliers && !recipe.outliers.simplified)
          members = reference_softened(members, c, grid, threshold);
        const ReferenceScaleZero row = reference_first_level(grid, members);
        scale.push_back(row.scale);
        zero.push_back(row.zero);
        constant.push_back(row.constant);
      }
      scales[group] = reference_second_level(scale, constant, grid.qq_scale_bits, true);
      const bool integers = grid.symmetric || (grid.round_zero && grid.qq_zero_bits >= grid.bits);
      zeros[group] =
          integers ? zero : reference_second_level(zero, constant, grid.qq_zero_bits, false);
    };
    const auto group_of = [&](int64_t p) { return (problem.dynamic ? p : problem.order[p]) / g; };
    for (int64_t group = 0; group * g < in; ++group) {
      if (problem.dynamic) break;
      std::vector<int64_t> positions;
      for (int64_t column = group * g; column < std::min(in, group * g + g); ++column)
        positions.push_back(std::find(problem.order.begin(), problem.order.end(), column) -
                            problem.order.begin());
      fit(group, positions);
    }
    for (int64_t p = 0; p < in; ++p) {
      if (problem.dynamic && p % g == 0) {
        std::vector<int64_t> positions(static_cast<size_t>(std::min(g, in - p)));
        std::iota(positions.begin(), positions.end(), p);
        fit(p / g, positions);
      }
      for (int64_t i = first; i < last; ++i) {
        const double scale = scales[group_of(p)][i - first], zero = zeros[group_of(p)][i - first];
        const auto code_of = [&](double x) {
          return std::clamp<double>(std::nearbyint(x / scale + zero), 0, top);
        };
        double code = code_of(w(i, p)), value = scale * (code - zero);
        const double c = problem.upper(p, p);
        const bool outlier = std::pow((w(i, p) - value) / c, 2) > threshold;
        if (outlier) {
          code = code_of(0);
          value = reference_half(w(i, p));
        }
        const double e = (w(i, p) - value) / c;
        const int64_t where = i * in + problem.order[p];
        result.codes[where] = static_cast<int>(code);
        result.mask[where] = outlier;
        result.weights(i, problem.order[p]) = value;
        result.loss += e * e;
        for (int64_t k = p + 1; k < in; ++k) w(i, k) -= e * problem.upper(p, k);
      }
    }
  }
  return result;
}

}  // namespace halftone::testing
