// Hadamard matrices after Paley 1933 and Sylvester 1867; their use for quantization: QuaRot
// (Ashkboos et al. 2024, arXiv 2404.00456). Generated, not tabulated.
#include "matrix/orthogonal.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/random.h"
#include "matrix/hadamard_orders.h"

namespace halftone {
namespace {

constexpr int64_t kLargestBlock =
    64;  // of merged two-by-two factors: thin enough to be cheap, wide enough for GEMM

bool is_prime(int64_t n) {
  if (n < 2) return false;
  for (int64_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return true;
}

// Quadratic character modulo the prime q: Q_ij = chi(i - j).  -> (q, q)
at::Tensor jacobsthal(int64_t q) {
  std::vector<double> character(static_cast<size_t>(q), -1);
  character[0] = 0;
  for (int64_t i = 1; i < q; ++i) character[static_cast<size_t>(i * i % q)] = 1;
  at::Tensor matrix = at::empty({q, q}, at::kDouble);
  double* values = matrix.mutable_data_ptr<double>();
  for (int64_t i = 0; i < q; ++i)
    for (int64_t j = 0; j < q; ++j)
      values[i * q + j] = character[static_cast<size_t>((i - j + q) % q)];
  return matrix;
}

// [[0, 1^T], [sign 1, Q]]
at::Tensor bordered(int64_t q, double sign) {
  at::Tensor matrix = at::zeros({q + 1, q + 1}, at::kDouble);
  matrix.narrow(0, 1, q).narrow(1, 1, q).copy_(jacobsthal(q));
  matrix[0].narrow(0, 1, q).fill_(1);
  matrix.narrow(0, 1, q).select(1, 0).fill_(sign);
  return matrix;
}

at::Tensor square(std::initializer_list<double> values) {
  return at::tensor(values, at::kDouble).view({2, 2});
}

enum class Kind { kOne, kPaleyOne, kPaleyTwo, kRandom };

struct Shape {
  int64_t core = 1, power = 1;  // n = core * power, power = 2^p
  Kind kind = Kind::kOne;
};

std::optional<Kind> paley_kind(int64_t order) {
  if (order % 4 != 0) return std::nullopt;
  if (is_prime(order - 1) && (order - 1) % 4 == 3) return Kind::kPaleyOne;
  if (is_prime(order / 2 - 1) && (order / 2 - 1) % 4 == 1) return Kind::kPaleyTwo;
  return std::nullopt;
}

Shape shape_of_order(int64_t n) {
  int64_t odd = n;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) return {1, n, Kind::kOne};
  for (int64_t core = odd; n % core == 0 && core <= 4096; core *= 2)
    if (const auto kind = paley_kind(core)) return {core, n / core, *kind};
  return {odd, n / odd, Kind::kRandom};
}

at::Tensor paley(int64_t order, Kind kind) {
  if (kind == Kind::kPaleyOne) return at::eye(order, at::kDouble) + bordered(order - 1, -1);
  const at::Tensor conference = bordered(order / 2 - 1, 1);
  return at::kron(conference, square({1, 1, 1, -1})) +
         at::kron(at::eye(order / 2, at::kDouble), square({1, -1, -1, -1}));
}

// Uniform over the orthogonal group: QR of Gaussian numbers, signs fixed by R's diagonal.
at::Tensor random_orthogonal(int64_t n, uint64_t seed) {
  Random random(seed);
  at::Tensor gaussian = at::empty({n, n}, at::kDouble);
  double* values = gaussian.mutable_data_ptr<double>();
  const auto uniform = [&] { return (static_cast<double>(random.next() >> 11) + 0.5) * 0x1p-53; };
  for (int64_t i = 0; i < n * n; ++i)
    values[i] = std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform());
  const auto [q, r] = at::linalg_qr(gaussian);
  return (q * r.diagonal().sign()).contiguous();
}

at::Tensor sylvester(int64_t order) {
  at::Tensor matrix = at::ones({1, 1}, at::kDouble);
  for (int64_t n = 1; n < order; n *= 2) matrix = at::kron(square({1, 1, 1, -1}), matrix);
  return matrix;
}

}  // namespace

int64_t KroneckerMatrix::order() const {
  int64_t order = 1;
  for (const at::Tensor& factor : factors) order *= factor.size(0);
  return order;
}

at::Tensor KroneckerMatrix::dense() const {
  at::Tensor matrix = at::ones({1, 1}, at::kDouble);
  for (const at::Tensor& factor : factors) matrix = at::kron(matrix, factor);
  return matrix;
}

KroneckerMatrix KroneckerMatrix::transposed() const {
  KroneckerMatrix result;
  for (const at::Tensor& factor : factors) result.factors.push_back(factor.t().contiguous());
  return result;
}

at::Tensor multiply(const at::Tensor& x, const KroneckerMatrix& matrix) {
  int64_t before = x.numel() / matrix.order(), after = matrix.order();
  at::Tensor y = x.contiguous();
  for (const at::Tensor& factor : matrix.factors) {
    const int64_t k = factor.size(0);
    after /= k;
    const at::Tensor typed = factor.to(x.options());
    // one axis of the view (before, k, after) at a time
    y = after == 1 ? y.reshape({before, k}).mm(typed)
                   : at::matmul(typed.t(), y.reshape({before, k, after}));
    before *= k;
  }
  return y.reshape(x.sizes());
}

KroneckerMatrix hadamard(int64_t n, uint64_t seed) {
  const Shape shape = shape_of_order(n);
  KroneckerMatrix matrix;
  const auto add = [&](const at::Tensor& factor) {
    matrix.factors.push_back(factor / std::sqrt(static_cast<double>(factor.size(0))));
  };
  if (shape.kind == Kind::kRandom) matrix.factors.push_back(random_orthogonal(shape.core, seed));
  if (shape.kind == Kind::kPaleyOne || shape.kind == Kind::kPaleyTwo)
    add(paley(shape.core, shape.kind));
  int64_t left = shape.power;
  while (left > 1) {
    const int64_t block = std::min(left, kLargestBlock);
    add(sylvester(block));
    left /= block;
  }
  if (matrix.factors.empty()) matrix.factors.push_back(at::ones({1, 1}, at::kDouble));
  return matrix;
}

bool has_hadamard(int64_t n) {
  return shape_of_order(n).kind != Kind::kRandom;
}

bool is_flat(const KroneckerMatrix& matrix) {
  constexpr double kRounding = 1e-12;
  for (const at::Tensor& factor : matrix.factors) {
    const double size = 1 / std::sqrt(static_cast<double>(factor.size(0)));
    if ((factor.abs() - size).abs().max().item<double>() > kRounding) return false;
  }
  return true;
}

at::Tensor random_signs(int64_t n, uint64_t seed) {
  Random random(seed);
  at::Tensor signs = at::empty({n}, at::kDouble);
  for (int64_t i = 0; i < n; ++i)
    signs.mutable_data_ptr<double>()[i] = random.next() >> 63 ? 1.0 : -1.0;
  return signs;
}

std::string describe_hadamard(int64_t n) {
  const Shape shape = shape_of_order(n);
  switch (shape.kind) {
    case Kind::kOne:
      return fmt::format("{} (Sylvester)", n);
    case Kind::kPaleyOne:
      return fmt::format("{} x {} (Paley I)", shape.core, shape.power);
    case Kind::kPaleyTwo:
      return fmt::format("{} x {} (Paley II)", shape.core, shape.power);
    case Kind::kRandom:
      break;
  }
  return fmt::format("{} x {} (random orthogonal, not flat)", shape.core, shape.power);
}

}  // namespace halftone
