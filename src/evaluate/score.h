// One model, or a model and its reference, over token windows: log-likelihoods, divergence,
// agreement.
//
// Both models are streamed block by block; logits exist for a few hundred positions at a time and
// are stored only where a file of them is asked for.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/progress.h"
#include "evaluate/log_probability_file.h"
#include "model/model.h"
#include "text/corpus.h"

namespace halftone {

// One entry a scored position: length - 1 - first_scored of every window, windows one after
// another.
struct Scores {
  int64_t windows = 0, positions = 0;  // positions a window
  std::vector<double> nll;             // -log q(next token), nats
  std::vector<double> reference_nll;   // empty without a reference
  std::vector<double> kl;              // sum p (log p - log q), p the reference; nats
  std::vector<uint8_t> same_top;       // argmax p == argmax q
  std::vector<double> reverse_kl;      // sum q (log q - log p); nothing of a file's reference
  std::vector<double> confidence;      // max p
};

// The last block's hidden states, (windows, length, hidden), of the model that others are
// compared with, so that it runs once for all of them. Stays empty where they would take more than
// one round.
struct ReferenceStates {
  at::Tensor hidden;
};

// What is kept of a run beside its scores; each may be absent.
struct KeptOfScores {
  // Belong to one reference, one set of windows and one execution: a call without a reference fills
  // them with the model's own, a call with one uses what is there and fills them otherwise.
  ReferenceStates* states = nullptr;
  // What the model is compared with, in place of a reference; its windows are those scored.
  const LogProbabilityFile* reference = nullptr;
  // Gets the model's own log-probabilities at the scored positions.
  LogProbabilityWriter* written = nullptr;
};

// The same of some of the windows.
Scores scores_of_windows(const Scores& scores, int64_t first, int64_t count);

// A model in `coarse` against itself in `fine`: what the arithmetic alone diverges by. Few windows:
// their hidden states are all in memory.
Scores score_arithmetic(const Model& model, const TokenWindows& windows, const Execution& coarse,
                        const Execution& fine, Progress& progress);

// reference may be null.   Errors: vocabularies that differ.
Scores score_windows(const Model& model, const Model* reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress, const KeptOfScores& kept = {});

}  // namespace halftone
