#include "quantize/grid/binary_planes.h"

#include <ATen/ATen.h>

namespace halftone {

at::Tensor binary_levels(const at::Tensor& means, const at::Tensor& scales) {
  const at::Tensor minus = means - scales, plus = means + scales;  // (..., 4, rows)
  const auto side = [](const at::Tensor& of, int64_t fit) { return of.select(-2, fit); };
  const at::Tensor salient[] = {side(minus, 2) + side(minus, 3), side(minus, 2) + side(plus, 3),
                                side(plus, 2) + side(minus, 3), side(plus, 2) + side(plus, 3)};
  return at::stack({side(minus, 0), side(plus, 0), side(minus, 1), side(plus, 1), salient[0],
                    salient[1], salient[2], salient[3]},
                   -2);
}

at::Tensor binary_weights(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const BinaryPlanes& planes = *linear.binary;
  const auto rows_last = [&](const at::Tensor& numbers) {  // -> (groups, 4, count)
    return numbers.narrow(0, begin, count).permute({1, 2, 0});
  };
  const at::Tensor levels = binary_levels(rows_last(planes.means), rows_last(planes.scales))
                                .permute({2, 0, 1})
                                .reshape({count, -1});  // (count, groups * 8)
  const at::Tensor group = at::arange(linear.in(), at::kLong).div(linear.group_size, "floor");
  const at::Tensor base = group.mul(8).add_(planes.salient.to(at::kLong), 4);
  const at::Tensor code = linear.codes.narrow(0, begin, count).to(at::kLong);
  return levels.gather(1, code.add_(base));
}

double binary_bits_per_weight(const QuantizedLinear& linear) {
  return 1 + linear.binary->salient.to(at::kDouble).mean().item<double>();
}

}  // namespace halftone
