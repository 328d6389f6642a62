#include "model/linear.h"

#include <ATen/ATen.h>

#include <optional>

#include "model/compute.h"

namespace halftone {

at::Tensor Linear::prepared(const at::Tensor& x) const {
  return rotation ? multiply(widened(x), *rotation).to(x.scalar_type()) : x;
}

at::Tensor Linear::apply(const at::Tensor& x) const {
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

}  // namespace halftone
