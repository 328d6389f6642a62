#include "calibrate/symmetric_sum.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "calibrate/sums.h"
#include "matrix/two_part_matrix.h"

namespace halftone {
namespace {

constexpr int64_t kStrip =
    64;  // rows of the lower half at a time, so that their sources stay cached

// Panels: wide enough for the library's GEMM to run at full rate, narrow enough to skip most of the
// lower half.
int64_t panel_width(int64_t width, bool mixed) {
  return mixed ? 512 : std::max<int64_t>(192, (width / 6 + 63) / 64 * 64);
}

}  // namespace

SymmetricSum::SymmetricSum(int64_t width, at::Device device)
    : sum_(at::zeros({width, width}, at::device(device).dtype(at::kFloat))) {}

void SymmetricSum::add(const at::Tensor& rows) {
  const TwoPartMatrix split(rows);
  const int64_t all = sum_.size(0), step = panel_width(all, split.is_bfloat16());
  for (int64_t begin = 0; begin < all; begin += step) {
    const int64_t width = std::min(step, all - begin);
    add_product(sum_.narrow(0, begin, width).narrow(1, begin, all - begin),
                split.narrow(1, begin, width).t(), split.narrow(1, begin, all - begin));
  }
}

at::Tensor SymmetricSum::finish() {
  at::Tensor sum = total(std::exchange(sum_, {}));
  for (int64_t begin = 0; begin < sum.size(0); begin += kStrip) {
    const int64_t width = std::min(kStrip, sum.size(0) - begin);
    at::Tensor rows = sum.narrow(0, begin, width), square = rows.narrow(1, begin, width);
    rows.narrow(1, 0, begin).copy_(sum.narrow(0, 0, begin).narrow(1, begin, width).t());
    square.copy_(at::triu(square) + at::triu(square, 1).t());
  }
  return sum;
}

}  // namespace halftone
