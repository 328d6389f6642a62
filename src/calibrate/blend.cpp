#include "calibrate/blend.h"

#include <ATen/ATen.h>

namespace halftone {
namespace {

double trace_of(const at::Tensor& matrix) {
  return matrix.diagonal().sum(at::kDouble).item<double>();
}

// What a blend takes of F and of H.
struct Shares {
  double fisher, input;
};

Shares shares_of(const at::Tensor& fisher, const at::Tensor& input, double share) {
  const double own = trace_of(fisher), other = trace_of(input);
  if (own == 0) return {0, 1};
  if (other == 0) return {1, 0};
  return {1 - share, share * own / other};
}

at::Tensor mixed(const Shares& shares, const at::Tensor& fisher, const at::Tensor& input) {
  return fisher * shares.fisher + input * shares.input;
}

}  // namespace

at::Tensor blended(const at::Tensor& fisher, const at::Tensor& input, double share) {
  return mixed(shares_of(fisher, input, share), fisher, input);
}

void blend(LinearStatistics& own, const LinearStatistics& input, double share) {
  const auto blend_one = [&](at::Tensor& hessian, at::Tensor& moment) {
    const Shares shares = shares_of(hessian, input.hessian, share);
    hessian = mixed(shares, hessian, input.hessian);
    if (moment.defined()) moment = mixed(shares, moment, input.cross_moment);
  };
  if (own.hessian.dim() == 2) return blend_one(own.hessian, own.cross_moment);
  for (int64_t group = 0; group < own.hessian.size(0); ++group) {
    at::Tensor hessian = own.hessian[group];
    at::Tensor moment = own.cross_moment.defined() ? own.cross_moment[group] : at::Tensor();
    blend_one(hessian, moment);
    own.hessian[group].copy_(hessian);
    if (moment.defined()) own.cross_moment[group].copy_(moment);
  }
}

}  // namespace halftone
