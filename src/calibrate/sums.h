// Where every sum over the calibration sequences ends. Statistics are linear in the sequences up to
// here: what several hosts have summed up over some of them each would be added up in `total`,
// before anything is computed from it. So far there is one host.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace halftone {

// sum: any shape, on any device
// -> over all sequences, on the CPU
at::Tensor total(at::Tensor sum);
int64_t total(int64_t count);

}  // namespace halftone
