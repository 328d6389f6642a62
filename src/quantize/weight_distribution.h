// How far the distribution of a linear's weights moved: what statistical pre-calibration (Ghaffari
// et al. 2025, arXiv 2501.09107) sets out to keep. A report, nothing is chosen by it.
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/quantized_linear.h"

namespace halftone {

// KL(original | quantized) in nats between the histograms of the two: 256 bins of equal width over
// -+ the largest original magnitude (what lies beyond counts in the outermost bins), half a count
// added to every bin of both. 0 where all originals are 0.
// original: (out, in) finite, any float type
double weight_divergence(const at::Tensor& original, const QuantizedLinear& quantized);

}  // namespace halftone
