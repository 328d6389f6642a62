// Products with an upper triangular matrix, whose zeros are mostly left out: column panel by column
// panel only its non-zero half is read. Of tensors they are exact to the type's rounding, as a
// factorization needs them; of split matrices as two_part_matrix.h says.
#pragma once

#include <ATen/core/Tensor.h>

#include "matrix/two_part_matrix.h"

namespace halftone {

// x U.   x: (rows, in); upper: (in, in). `x_is_upper`: x itself is upper triangular
at::Tensor times_upper(const at::Tensor& x, const at::Tensor& upper, bool x_is_upper = false);
at::Tensor times_upper(const TwoPartMatrix& x, const TwoPartMatrix& upper, bool x_is_upper = false);

// x U^T.   x: (rows, in); upper: (in, in)
at::Tensor times_transposed_upper(const at::Tensor& x, const at::Tensor& upper);
at::Tensor times_transposed_upper(const TwoPartMatrix& x, const TwoPartMatrix& upper);

}  // namespace halftone
