#include "calibrate/output_hessian.h"

#include <ATen/ATen.h>

#include "calibrate/sums.h"
#include "calibrate/transposed_product.h"

namespace halftone {
namespace {

at::Tensor zeros(int64_t count, at::Device device) {
  return at::zeros({count}, at::device(device).dtype(at::kDouble));
}

// -> (batch, out, in) float32
at::Tensor weight_gradients(const at::Tensor& x, const at::Tensor& delta) {
  const bool narrow = x.scalar_type() == at::kBFloat16 && delta.scalar_type() == at::kBFloat16;
  if (!narrow) return at::bmm(delta.to(at::kFloat).transpose(1, 2), x.to(at::kFloat));
  at::Tensor gradients =
      at::zeros({x.size(0), delta.size(2), x.size(2)}, x.options().dtype(at::kFloat));
  const at::Tensor left = delta.contiguous(), right = x.contiguous();
  for (int64_t i = 0; i < x.size(0); ++i) add_transposed_product(gradients[i], left[i], right[i]);
  return gradients;
}

}  // namespace

OutputHessian::OutputHessian(int64_t out, int64_t in, at::Device device)
    : sum_(in, device), row_energies_(zeros(out, device)) {}

void OutputHessian::add(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& original) {
  const at::Tensor gradients = weight_gradients(x, delta);
  if (original.defined()) {
    const at::Tensor drift = weight_gradients(original.to(at::kFloat) - x.to(at::kFloat), delta);
    if (!moment_.defined()) moment_ = at::zeros({x.size(2), x.size(2)}, gradients.options());
    add_transposed_product(moment_, drift.flatten(0, 1), gradients.flatten(0, 1));
  }
  sum_.add(gradients.flatten(0, 1));  // the sum of squares is the square of all rows together
  row_energies_ += gradients.square().sum(at::IntArrayRef({0, 2}), false, at::kDouble);
  tokens_ += x.size(0) * x.size(1);
}

LinearStatistics OutputHessian::finish(double scale) {
  const double unit = 1 / (scale * scale);
  const at::Tensor moment = moment_.defined() ? total(moment_).mul_(unit) : moment_;
  return {sum_.finish().mul_(unit), total(tokens_), moment, total(row_energies_) * unit};
}

OutputDiagonal::OutputDiagonal(int64_t out, int64_t in, at::Device device)
    : sum_(zeros(in, device)), row_energies_(zeros(out, device)) {}

void OutputDiagonal::add(const at::Tensor& x, const at::Tensor& delta) {
  const at::Tensor squares = weight_gradients(x, delta).square_();
  sum_ += squares.sum(at::IntArrayRef({0, 1}), false, at::kDouble);
  row_energies_ += squares.sum(at::IntArrayRef({0, 2}), false, at::kDouble);
  tokens_ += x.size(0) * x.size(1);
}

LinearStatistics OutputDiagonal::finish(double scale) {
  const double unit = 1 / (scale * scale);
  const at::Tensor diagonal = at::diag(total(sum_) * unit).to(at::kFloat);
  return {diagonal, total(tokens_), {}, total(row_energies_) * unit};
}

}  // namespace halftone
