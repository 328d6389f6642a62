#include "quantize/factor.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "matrix/permuted.h"
#include "matrix/triangular.h"

namespace halftone {
namespace {

constexpr int64_t kWideInputs =
    2048;  // beyond: factor float32 Hessians in float32 first (methods.md 7.4)
constexpr int64_t kLeafColumns =
    256;  // factored by LAPACK; larger ones are halved, which is all products
constexpr double kGreatestDamping = 10;  // times the reference

// Lower triangular L^-1 of a symmetric positive matrix A = L L^T, by halving; only A's lower
// triangle is read, and it is overwritten. Returns the first pivot that is not positive, or -1.
// matrix, inverse: (n, n); inverse starts as 0
[[nodiscard]] int64_t invert_cholesky(const at::Tensor& matrix, const at::Tensor& inverse) {
  const int64_t n = matrix.size(0);
  if (n <= kLeafColumns) {
    const auto [lower, info] = at::linalg_cholesky_ex(matrix);
    if (const int64_t failed = info.item<int64_t>(); failed > 0) return failed - 1;
    inverse.copy_(
        at::linalg_solve_triangular(lower, at::eye(n, matrix.options()), /*upper=*/false));
    return -1;
  }
  const int64_t half = (n / 2 + kLeafColumns - 1) / kLeafColumns * kLeafColumns, rest = n - half;
  const auto part = [&](const at::Tensor& of, int64_t i, int64_t j) {
    return of.narrow(0, i * half, i ? rest : half).narrow(1, j * half, j ? rest : half);
  };
  // A = [A11 .; A21 A22]:  L21 = A21 L11^-T,  L22 L22^T = A22 - L21 L21^T
  if (const int64_t failed = invert_cholesky(part(matrix, 0, 0), part(inverse, 0, 0)); failed >= 0)
    return failed;
  const at::Tensor below = times_upper(part(matrix, 1, 0), part(inverse, 0, 0).t());
  for (int64_t first = 0; first < rest;
       first += 2 * kLeafColumns) {  // rows of A22, up to their diagonal block
    const int64_t count = std::min(2 * kLeafColumns, rest - first);
    part(matrix, 1, 1)
        .narrow(0, first, count)
        .narrow(1, 0, first + count)
        .addmm_(below.narrow(0, first, count), below.narrow(0, 0, first + count).t(), 1, -1);
  }
  if (const int64_t failed = invert_cholesky(part(matrix, 1, 1), part(inverse, 1, 1)); failed >= 0)
    return half + failed;
  // L^-1 = [L11^-1 .; -L22^-1 L21 L11^-1  L22^-1]
  const at::Tensor half_way = times_transposed_upper(below, part(inverse, 0, 0).t());
  part(inverse, 1, 0).sub_(times_upper(half_way.t(), part(inverse, 1, 1).t()).t());
  return -1;
}

// The Hessian permuted, reversed, normalized and damped.
at::Tensor damped_and_reversed(const at::Tensor& hessian, const HessianDiagonal& diagonal,
                               std::span<const int64_t> columns, double share,
                               at::ScalarType type) {
  const auto in = static_cast<int64_t>(columns.size());
  const double scale = diagonal.normalizer();
  const std::vector<int64_t> order(columns.rbegin(), columns.rend());
  at::Tensor result = permuted(hessian.contiguous(), order, scale, type);
  at::Tensor live = at::full({in}, share * diagonal.reference * scale, at::kDouble);
  std::vector<int64_t> position_of(order.size());
  for (size_t at = 0; at < order.size(); ++at) position_of[order[at]] = static_cast<int64_t>(at);
  for (const int64_t column : diagonal.dead) {
    const int64_t at = position_of[column];
    result.select(0, at).zero_();
    result.select(1, at).zero_();
    live.mutable_data_ptr<double>()[at] += diagonal.reference * scale;
  }
  result.diagonal().add_(live.to(type));
  return result;
}

int64_t first_bad_pivot(const at::Tensor& upper) {
  const at::Tensor pivots = upper.diagonal().to(at::kDouble).contiguous();
  const double* pivot = pivots.const_data_ptr<double>();
  for (int64_t position = 0; position < pivots.size(0); ++position)
    if (!(pivot[position] > 0 && std::isfinite(pivot[position]))) return position;
  return -1;
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

}  // namespace

double HessianDiagonal::normalizer() const {
  int exponent = 0;
  std::frexp(reference, &exponent);
  return std::ldexp(1.0, -exponent);
}

HessianDiagonal diagonal_of(const at::Tensor& hessian, DampingReference reference) {
  const at::Tensor diagonal = hessian.diagonal().to(at::kDouble).contiguous();
  HessianDiagonal result;
  result.values.assign(diagonal.const_data_ptr<double>(),
                       diagonal.const_data_ptr<double>() + diagonal.size(0));
  std::vector<double> live;
  bool sound = true;
  for (size_t column = 0; column < result.values.size(); ++column) {
    const double value = result.values[column];
    sound = sound && std::isfinite(value) && value >= 0;
    if (value == 0)
      result.dead.push_back(static_cast<int64_t>(column));
    else
      live.push_back(value);
  }
  result.usable = sound && !live.empty();
  if (!result.usable) return result;
  double sum = 0;
  for (const double value : live) sum += value;
  result.reference = reference == DampingReference::kMean ? sum / static_cast<double>(live.size())
                                                          : median_of(live);
  return result;
}

Factor factor_inverse(const at::Tensor& hessian, const HessianDiagonal& diagonal,
                      std::span<const int64_t> columns, double share, at::ScalarType type) {
  const auto in = static_cast<int64_t>(columns.size());
  at::Tensor matrix = damped_and_reversed(hessian, diagonal, columns, share, type);
  at::Tensor inverse = at::zeros({in, in}, matrix.options());
  if (const int64_t failed = invert_cholesky(matrix, inverse); failed >= 0)
    return {{}, in - 1 - failed};
  matrix.reset();
  Factor factor{inverse.flip({0, 1}), -1};
  factor.failing_pivot = first_bad_pivot(factor.upper);
  if (factor.failing_pivot >= 0) factor.upper.reset();
  return factor;
}

DampedFactor factor_with_ladder(const at::Tensor& hessian, const HessianDiagonal& diagonal,
                                std::span<const int64_t> columns, double share) {
  DampedFactor result;
  const bool wide = hessian.scalar_type() == at::kFloat && hessian.size(0) > kWideInputs;
  const auto note = [&](std::string_view step, const Factor& failed) {
    result.steps +=
        fmt::format("{}{} (pivot {} of {} not positive)", result.steps.empty() ? "" : "; ", step,
                    failed.failing_pivot, columns.size());
  };
  if (wide) {
    Factor factor = factor_inverse(hessian, diagonal, columns, share, at::kFloat);
    if (factor.upper.defined()) return {factor.upper, share, ""};
    note("float64", factor);
  }
  for (result.share = share;;) {
    Factor factor = factor_inverse(hessian, diagonal, columns, result.share, at::kDouble);
    if (factor.upper.defined()) {
      result.upper = factor.upper.to(hessian.scalar_type());
      return result;
    }
    // without any damping asked for, the ladder starts at the published 0.01
    const double next = result.share > 0 ? result.share * 10 : 0.01;
    if (next > kGreatestDamping) return result;
    result.share = next;
    note(fmt::format("damping {:g}", result.share), factor);
  }
}

}  // namespace halftone
