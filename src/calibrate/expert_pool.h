// Experts that few tokens reach have thin Hessians: each is drawn toward that of all experts of its
// layer, the more the fewer its tokens are (methods.md 2.7).
#pragma once

#include <span>

#include "calibrate/stage_statistics.h"

namespace halftone {

// H_e + k P / n for each expert's H_e of n_e tokens, P their sum over the experts and n its tokens,
// with k = `pool` times the columns: of tokens' means a share k / (n_e + k) is P's. Cross moments
// alike. An expert that no token reached gets the diagonal of P / n, which rounds to nearest, and
// says so in `fallback`. Pooled together are the stage's shared inputs of experts and, by the
// linear's name in its expert, what linears have of their own; where one has another objective than
// was asked for, it stays as it is.
void pool_experts(std::span<const LinearSlot> linears, double pool, StageStatistics& statistics);

}  // namespace halftone
