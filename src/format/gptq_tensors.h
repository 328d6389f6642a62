// The four tensors of a GPTQ linear (formats.md 4), between the names and the numbers.
//
//   qweight I32 [in*b/32, out]         LE(b) down the input, one stream per output column
//   qzeros  I32 [groups, out*b/32]     LE(b) along the output; v1 holds zero - 1, v2 the zero
//   scales  F16 [groups, out]
//   g_idx   I32 [in]                   group of each input column
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/quantized_linear.h"

namespace halftone {

struct GptqTensors {
  at::Tensor qweight;  // (in * bits / 32, out) int32
  at::Tensor qzeros;   // (groups, out * bits / 32) int32
  at::Tensor scales;   // (groups, out) float16 written, float32 read
  at::Tensor g_idx;    // (in) int32; undefined when reading: column / group_size
};

// Errors: a scale that float16 does not hold; a zero of 0 in v1.
GptqTensors to_gptq(const QuantizedLinear& linear, bool v2);

// zeros of v1 files.  stored: (groups, out * bits / 32) int32 -> (groups, out) uint8
// Errors: lanes that hold 2^bits - 1 (zero 0 or 2^bits, readers differ); 3 bits other than the two
// symmetric patterns. repaired: set if the pattern was GPTQModel's broken one.
at::Tensor zeros_of_v1(const at::Tensor& stored, int64_t out, int bits, bool symmetric,
                       bool& repaired);

}  // namespace halftone
