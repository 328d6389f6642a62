// From the logits of some positions to what is kept of them.
#pragma once

#include <ATen/core/Tensor.h>

#include "evaluate/score.h"

namespace halftone {

// Appends one entry a position.   logits, reference (may be undefined): (positions, vocab), any
// floating dtype; targets: (positions) int64, on the device of the logits.
void score_logits(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& reference,
                  Scores& scores);

// The same against log-probabilities that are kept in few bits: those of at most e^-16 add nothing
// to the divergence, as in llama-perplexity.   log_p: (positions, vocab) float32
void score_against_kept(const at::Tensor& logits, const at::Tensor& targets,
                        const at::Tensor& log_p, Scores& scores);

// Of one position alone: log q(target), and whether no token is likelier (of equals the first).
struct TargetScore {
  double log_probability = 0;
  bool is_greatest = false;
};
// One entry a position; shapes as there.
std::vector<TargetScore> score_targets(const at::Tensor& logits, const at::Tensor& targets);

}  // namespace halftone
