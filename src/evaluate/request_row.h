// Requests of several groups in one row of tokens: what the requests of a group have in common from
// the start is there once, as the trunk of a tree whose branches are the rest of each.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "evaluate/token_request.h"
#include "model/model.h"

namespace halftone {

// Of one item: contexts and continuations that are likely to begin alike.
using RequestGroup = std::vector<TokenRequest>;

// Tokens of a group in a row.
int64_t tokens_in_row(const RequestGroup& group);
// The longest sequence that a model sees of the group.
int64_t longest_input(const RequestGroup& group);

struct RequestRow {
  at::Tensor hidden;  // (1, length, hidden): embedded tokens, on execution's device
  TokenTrees trees;
  // of each token to be scored, request by request: where in the row it is predicted, and its id
  at::Tensor places, targets;   // (scored) int64
  std::vector<int64_t> counts;  // scored tokens a request
};

RequestRow make_row(const Model& model, std::span<const RequestGroup> groups,
                    const Execution& execution);

}  // namespace halftone
