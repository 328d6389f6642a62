#include "calibrate/finite.h"

#include <ATen/ATen.h>

namespace halftone {

at::Tensor finite_sequences(const at::Tensor& x) {
  // a NaN or an infinity anywhere shows in the sum; only then is it looked for
  if (x.sum(at::kFloat).isfinite().item<bool>()) return {};
  return x.isfinite().flatten(1).all(1);
}

at::Tensor finite_sequences(const at::Tensor& x, const TokenRows& rows, int64_t count) {
  const at::Tensor finite = finite_sequences(x);  // by row
  if (rows.is_all() || !finite.defined()) return finite;
  const at::Tensor bad = rows.sequences().index({finite.logical_not()});
  return at::ones({count}, finite.options()).index_fill(0, bad, false);
}

}  // namespace halftone
