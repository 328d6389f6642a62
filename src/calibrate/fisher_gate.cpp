#include "calibrate/fisher_gate.h"

#include <ATen/ATen.h>

namespace halftone {
namespace {

double score(const at::Tensor& matrix, const at::Tensor& held_out) {
  const double norm = matrix.norm().item<double>();
  return norm > 0 ? (matrix * held_out).sum(at::kDouble).item<double>() / norm : 0;
}

}  // namespace

double fisher_gate_score(const at::Tensor& fisher, const at::Tensor& held_out,
                         const at::Tensor& input) {
  const double other = score(input, held_out);
  return other > 0 ? score(fisher - held_out, held_out) / other : 0;
}

}  // namespace halftone
