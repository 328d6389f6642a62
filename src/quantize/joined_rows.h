// Runs of rows of one linear, one below the other.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "quantize/quantized_linear.h"

namespace halftone {

// runs: of equal grids, orders and dead columns; none of them empty
QuantizedLinear joined_rows(std::vector<QuantizedLinear> runs);

}  // namespace halftone
