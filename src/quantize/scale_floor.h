// Weights so small that the numbers of their grid are no longer held to their significant bits.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "quantize/quantized_linear.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// One line for the report, empty where every group of weights (but those of zeros) has a scale that
// the file holds as well as any: in how many the type of the scales is at its end. float16 numbers
// below 2^-14 have fewer bits and end at 2^-24; those of bfloat16's and float32's range end at
// 2^-126.
// weight: (out, in) as given
std::string scale_floor(const at::Tensor& weight, const QuantizedLinear& linear,
                        const GridOptions& grid);

}  // namespace halftone
