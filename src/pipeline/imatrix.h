// halftone imatrix: what each input of each linear counts, as a file that llama.cpp's quantizer
// takes (llama-quantize --imatrix).
#pragma once

#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "pipeline/quantize_request.h"

namespace halftone {

// The diagonal of every linear's Hessian of the unquantized model, by the objective of the
// request's recipe (its grid is of no account), under the names of the model's GGUF file:
//   NAME.in_sum2  F32 (1, in)  sum over tokens of x_j^2, or what the objective puts in its place;
//   of
//                              several runs of rows their mean
//   NAME.counts   F32 (1, 1)   tokens
// -> {"linears": .., "tokens": .., "objective": ..}. Errors: those of a quantization that can be
// known before work; an existing file; a recipe that rotates the model, or has no
// objective for some linear.
nlohmann::json write_imatrix(const QuantizeRequest& request, Progress& progress);

}  // namespace halftone
