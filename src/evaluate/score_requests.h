// Log-likelihoods of continuations behind their contexts, block by block over rows of requests:
// memory holds one block, and the hidden states of one round.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "evaluate/request_row.h"

namespace halftone {

struct LogLikelihood {
  double value = 0;       // nats, of the whole continuation
  bool is_greedy = true;  // each of its tokens is the most likely one
};

class RequestScorer {
 public:
  // Both must outlive it. Holds the model's head.
  RequestScorer(const Model& model, const Execution& execution);

  // How many of the groups, from the first on, are scored in one round: as many as their hidden
  // states and the patience of whoever waits for results allow.
  size_t groups_in_round(std::span<const RequestGroup> groups) const;

  // A list a group, one of its requests each. Steps are told once a block.
  std::vector<std::vector<LogLikelihood>> score(
      std::span<const RequestGroup> groups, const std::function<void(int64_t block)>& step) const;

 private:
  std::vector<LogLikelihood> score_row(const RequestRow& row) const;

  const Model& model_;
  Execution execution_;
  Head head_;
};

}  // namespace halftone
