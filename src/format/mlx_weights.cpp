#include "format/mlx_weights.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

bool mlx_has_bits(int64_t bits) {
  return bits >= 2 && bits <= 8 && bits != 7;
}
bool mlx_has_group_size(int64_t size) {
  return size == 32 || size == 64 || size == 128;
}

MlxGrid parse_mlx_grid(const ConfigFields& fields) {
  fields.require_one_of("mode", {"affine"});
  const MlxGrid grid{.bits = static_cast<int>(fields.integer("bits", 2, 8)),
                     .group_size = fields.integer("group_size", 32, 128)};
  require(mlx_has_bits(grid.bits), "{}: bits: expected 2, 3, 4, 5, 6 or 8, found {}",
          fields.place(), grid.bits);
  require(mlx_has_group_size(grid.group_size), "{}: group_size: expected 32, 64 or 128, found {}",
          fields.place(), grid.group_size);
  return grid;
}

at::Tensor mlx_weights(const at::Tensor& codes, const at::Tensor& scales,
                       const at::Tensor& biases) {
  const std::vector<int64_t> by_group = {codes.size(0), scales.size(1), -1};
  at::Tensor weights = codes.to(scales.scalar_type()).reshape(by_group);
  weights.mul_(scales.unsqueeze(-1)).add_(biases.unsqueeze(-1));
  return weights.reshape(codes.sizes());
}

}  // namespace halftone
