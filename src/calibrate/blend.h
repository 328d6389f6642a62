// A Fisher matrix from few sequences is noisy; the input Hessian is not (methods.md 2.6).
#pragma once

#include <ATen/core/Tensor.h>

#include "calibrate/linear_statistics.h"

namespace halftone {

// (1 - share) F + share c H, with c such that both have the same mean diagonal; the result is in
// units of F. A zero F gives H.   fisher, input: (in, in)
at::Tensor blended(const at::Tensor& fisher, const at::Tensor& input, double share);

// The same of everything a solve looks at: the Hessian of each run of rows by itself, and the cross
// moment by the shares of its Hessian. own: of the Fisher matrix, overwritten; input: of H.
void blend(LinearStatistics& own, const LinearStatistics& input, double share);

}  // namespace halftone
