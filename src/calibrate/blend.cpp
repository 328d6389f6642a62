#include "calibrate/blend.h"

#include <ATen/ATen.h>

namespace halftone {
namespace {

double trace_of(const at::Tensor& matrix) {
  return matrix.diagonal().sum(at::kDouble).item<double>();
}

}  // namespace

at::Tensor blended(const at::Tensor& fisher, const at::Tensor& input, double share) {
  const double own = trace_of(fisher), other = trace_of(input);
  if (own == 0) return input;
  if (other == 0) return fisher;
  return fisher * (1 - share) + input * (share * own / other);
}

}  // namespace halftone
