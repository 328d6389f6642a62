#include "calibrate/transposed_product.h"

#include <utility>

#include "matrix/two_part_matrix.h"

namespace halftone {

void add_transposed_product(at::Tensor sum, const at::Tensor& a, const at::Tensor& b) {
  add_product(std::move(sum), TwoPartMatrix(a).t(), TwoPartMatrix(b));
}

}  // namespace halftone
