// Does a Fisher matrix predict gradients it was not made of better than the input Hessian does
// (methods.md 2.6)? From few sequences it may not; then the linear is better off without it.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// score(F) / score(H) with score(A) = <V, A> / |A|: how well A is aligned with the Fisher matrix V
// of held-out sequences. Above 1 F predicts better; 0 where V is zero or F is nothing but V.
// fisher: of all sequences, held_out: V, the part of it that is held out, input: H, (in, in) all
double fisher_gate_score(const at::Tensor& fisher, const at::Tensor& held_out,
                         const at::Tensor& input);

}  // namespace halftone
