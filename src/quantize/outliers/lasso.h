// The magnitude rule of AdpQ (Ghaffari et al. 2024, arXiv 2405.13358) and of statistical
// pre-calibration (Ghaffari et al. 2025, arXiv 2501.09107): a weight is an outlier if adaptive
// LASSO, sign(w) ReLU(|w| - lambda / |w|), leaves it different from zero.
//
// That is |w| > sqrt(lambda) (methods.md 5.3). Lowering lambda until a share of the weights is left
// is therefore a selection of the largest magnitudes, made here at once instead of by search. Ties
// go to the first in row-major order (the replication's strict > takes none of them).
#pragma once

#include <ATen/core/Tensor.h>

#include "quantize/grid/outlier_mask.h"

namespace halftone {

// The `share` (0 .. 1, to the nearest whole number of weights) of largest magnitude over the whole
// matrix; zeros are never outliers.   weight: (out, in) float32 or float64, finite
OutlierMask lasso_outliers(const at::Tensor& weight, double share);

}  // namespace halftone
