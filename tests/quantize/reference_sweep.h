// The methods written down plainly from methods.md 2.5, 4.1, 4.6, 6, 7.1 and 7.2, in double
// precision, one weight at a time. Slow and obvious; nothing of src/quantize is used but the
// recipe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "recipe/linear_recipe.h"

namespace halftone::testing {

struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  Matrix(int64_t r, int64_t c) : rows(r), columns(c), values(static_cast<size_t>(r * c)) {}
  double& operator()(int64_t i, int64_t j) { return values[static_cast<size_t>(i * columns + j)]; }
  double operator()(int64_t i, int64_t j) const {
    return values[static_cast<size_t>(i * columns + j)];
  }
};

struct ReferenceResult {
  std::vector<int> codes;  // (out, in), file order
  Matrix weights;          // (out, in), what the codes stand for
  double loss = 0;         // sum of e^2
};

// methods.md 4.6, for scales stored as bfloat16 or float32: none is below 2^-126; of zeros 2^-14.
inline double reference_round_scale(double scale, int bits) {
  if (scale == 0) return std::ldexp(1.0, -14);
  int exponent = 0;
  const int kept = bits == 0 ? 24 : bits;
  const double fraction = std::frexp(scale, &exponent);
  return std::max(std::ldexp(std::nearbyint(std::ldexp(fraction, kept)), exponent - kept),
                  std::ldexp(1.0, -126));
}

struct ReferenceGrid {
  double scale = 1, zero = 0;
  int top = 15;
  bool symmetric = false;

  int code(double w) const {
    const double q = std::clamp(std::nearbyint(w / scale) + zero, 0.0, static_cast<double>(top));
    // a tie between codes 0 and 1, up to the rounding of the scale to float32, goes to 1
    if (symmetric && q == 0 && w / scale >= -(top / 2.0) * (1 + 1e-6)) return 1;
    return static_cast<int>(q);
  }
  double value(int c) const { return scale * (c - zero); }
};

// methods.md 4.1. weights: what each of the group counts in the search; empty: 1
inline ReferenceGrid reference_fit(const GridOptions& options, const std::vector<double>& group,
                                   const std::vector<double>& weights = {}) {
  const int scale_bits = options.scale_bits >= 0
                             ? options.scale_bits
                             : (!options.symmetric && options.bits == 4 ? 7 : 8);
  const auto [least, greatest] = std::minmax_element(group.begin(), group.end());
  ReferenceGrid full;
  full.top = (1 << options.bits) - 1;
  full.symmetric = options.symmetric;
  const double half = (full.top + 1) / 2;
  const auto grid_of = [&](double share) {
    ReferenceGrid grid = full;
    if (options.symmetric) {
      const double reach = std::max(std::abs(*least), std::abs(*greatest)) * share;
      grid.scale = reference_round_scale(2 * reach / grid.top, scale_bits);
      grid.zero = half;
      return grid;
    }
    const double low = std::min(*least, 0.0) * share, high = std::max(*greatest, 0.0) * share;
    grid.scale = reference_round_scale((high - low) / grid.top, scale_bits);
    grid.zero = std::min<double>(std::nearbyint(-low / grid.scale), grid.top);
    if (grid.zero < options.zero_min) {
      grid.zero = options.zero_min;
      grid.scale = std::max(
          grid.scale, reference_round_scale(high / (grid.top - options.zero_min), scale_bits));
    }
    return grid;
  };
  if (*least == *greatest && *least != 0) {
    full.scale = reference_round_scale(std::abs(*least), scale_bits);
    full.zero = options.symmetric ? half : std::max<double>(options.zero_min, *least < 0 ? 1 : 0);
    return full;
  }
  ReferenceGrid best = grid_of(1);
  double best_error = INFINITY;
  if (options.signed_scale && !options.clip_search) {
    const double reach = std::max(std::abs(*least), std::abs(*greatest));
    best.scale = reference_round_scale(reach / half, scale_bits) * (*greatest > -*least ? -1 : 1);
    return best;
  }
  const int candidates = options.clip_search ? 80 : 1;
  for (int i = 0; i < (options.signed_scale ? 2 : 1) * candidates; ++i) {
    ReferenceGrid grid = grid_of(1 - i % candidates / 100.0);
    if (i >= candidates) grid.scale = -grid.scale;
    double error = 0;
    for (size_t k = 0; k < group.size(); ++k)
      error += (weights.empty() ? 1 : weights[k]) *
               std::pow(std::abs(grid.value(grid.code(group[k])) - group[k]), options.clip_norm);
    if (error < best_error) {
      best_error = error;
      best = grid;
    }
  }
  return best;
}

// Upper triangular U with U^T U = H^-1: the upper Cholesky factor of the inverse, both by plain
// loops.
inline Matrix reference_upper(const Matrix& h) {
  const int64_t n = h.rows;
  // Cholesky of the reversed matrix, then its triangular inverse, then reversed back
  Matrix lower(n, n), inverse(n, n), upper(n, n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double sum = h(n - 1 - i, n - 1 - j);
      for (int64_t k = 0; k < j; ++k) sum -= lower(i, k) * lower(j, k);
      lower(i, j) = i == j ? std::sqrt(sum) : sum / lower(j, j);
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = j; i < n; ++i) {
      double sum = i == j ? 1 : 0;
      for (int64_t k = j; k < i; ++k) sum -= lower(i, k) * inverse(k, j);
      inverse(i, j) = sum / lower(i, i);
    }
  }
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) upper(i, j) = inverse(n - 1 - i, n - 1 - j);
  return upper;
}

// A linear in the order it is swept, damped, with dead columns at zero.
struct ReferenceProblem {
  Matrix weight;               // (out, in), file order
  std::vector<int64_t> order;  // (in) the file's column at each position
  Matrix upper;                // (in, in)
  int64_t group_size;
  bool dynamic;
};

// weight: (out, in); hessian: (in, in), ignored by recipes without an objective.
inline ReferenceProblem reference_problem(Matrix weight, Matrix hessian,
                                          const LinearRecipe& recipe) {
  const int64_t out = weight.rows, in = weight.columns;
  const bool plain = recipe.objective.kind == ObjectiveKind::kNone;
  std::vector<int64_t> order(static_cast<size_t>(in));
  std::iota(order.begin(), order.end(), 0);
  if (plain) {
    for (int64_t i = 0; i < in; ++i)
      for (int64_t j = 0; j < in; ++j) hessian(i, j) = i == j;
  } else {
    if (recipe.order.kind == OrderKind::kActivation)
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return hessian(a, a) > hessian(b, b); });
    double sum = 0;
    std::vector<double> live;
    for (int64_t j = 0; j < in; ++j)
      if (hessian(j, j) != 0) live.push_back(hessian(j, j));
    for (const double value : live) sum += value;
    double reference = sum / static_cast<double>(live.size());
    if (recipe.objective.damping_reference == DampingReference::kMedian) {
      std::sort(live.begin(), live.end());
      reference = (live[(live.size() - 1) / 2] + live[live.size() / 2]) / 2;
    }
    for (int64_t j = 0; j < in; ++j) {
      if (hessian(j, j) == 0) {
        for (int64_t i = 0; i < in; ++i) hessian(i, j) = hessian(j, i) = 0;
        for (int64_t i = 0; i < out; ++i) weight(i, j) = 0;
        hessian(j, j) = reference;
      }
      hessian(j, j) += recipe.objective.damping * reference;
    }
  }
  Matrix permuted(in, in);
  for (int64_t i = 0; i < in; ++i)
    for (int64_t j = 0; j < in; ++j) permuted(i, j) = hessian(order[i], order[j]);
  const int64_t g = recipe.grid.group_size == 0 ? in : std::min(in, recipe.grid.group_size);
  return {weight, order, reference_upper(permuted), g, !plain && !recipe.order.static_groups};
}

// weight, hessian: as in reference_problem
inline ReferenceResult reference_quantize(const Matrix& weight_in, const Matrix& hessian,
                                          const LinearRecipe& recipe) {
  const ReferenceProblem problem = reference_problem(weight_in, hessian, recipe);
  const auto& [weight, order, u, g, dynamic] = problem;
  const int64_t out = weight.rows, in = weight.columns;
  ReferenceResult result{std::vector<int>(static_cast<size_t>(out * in)), Matrix(out, in), 0};
  // 1 / c^2 by position and by the file's column
  std::vector<double> weights(static_cast<size_t>(in), 1), of_column = weights;
  for (int64_t p = 0; p < in && recipe.grid.clip_weights == ClipWeights::kFactor; ++p)
    weights[p] = of_column[order[p]] = 1 / (u(p, p) * u(p, p));
  for (int64_t row = 0; row < out; ++row) {
    std::vector<double> w(static_cast<size_t>(in));
    for (int64_t p = 0; p < in; ++p) w[p] = weight(row, order[p]);
    std::vector<ReferenceGrid> grids(static_cast<size_t>((in + g - 1) / g));
    for (int64_t first = 0; !dynamic && first < in; first += g) {
      std::vector<double> group;
      for (int64_t j = first; j < std::min(in, first + g); ++j) group.push_back(weight(row, j));
      const auto from = of_column.begin() + first;
      grids[first / g] =
          reference_fit(recipe.grid, group, {from, from + static_cast<int64_t>(group.size())});
    }
    for (int64_t p = 0; p < in; ++p) {
      if (dynamic && p % g == 0)
        grids[p / g] = reference_fit(recipe.grid, {w.begin() + p, w.begin() + std::min(in, p + g)},
                                     {weights.begin() + p, weights.begin() + std::min(in, p + g)});
      const ReferenceGrid& grid = grids[(dynamic ? p : order[p]) / g];
      const int code = grid.code(w[p]);
      const double e = (w[p] - grid.value(code)) / u(p, p);
      result.codes[row * in + order[p]] = code;
      result.weights(row, order[p]) = grid.value(code);
      result.loss += e * e;
      for (int64_t k = p + 1; k < in; ++k) w[k] -= e * u(p, k);
    }
  }
  return result;
}

}  // namespace halftone::testing
