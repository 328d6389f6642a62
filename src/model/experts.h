// Tokens on their way to the experts of a mixture and back (Shazeer et al. 2017, arXiv 1701.06538;
// Fedus et al. 2021, arXiv 2101.03961): all tokens of an expert are gathered and computed at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace halftone {

// The experts of the greatest scores, best first, of equal ones the first.   scores: (batch,
// length, experts) -> (batch, length, per_token) int32
at::Tensor chosen_experts(const at::Tensor& scores, int64_t per_token);

// What each of them counts: softmax over all experts, of those chosen, and divided by their sum if
// `renormalized`.   scores, chosen: as above -> (batch, length, per_token) like scores
at::Tensor expert_weights(const at::Tensor& scores, const at::Tensor& chosen, bool renormalized);

// The places that tokens have at their experts. A token has as many as experts, its own one after
// another; sorted by expert they are in order of tokens at each.
class ExpertTokens {
 public:
  // chosen: (batch, length, per_token) integers
  ExpertTokens(const at::Tensor& chosen, int64_t experts);

  // Of each expert its tokens, by their place among all: (tokens) int64, ascending.
  std::vector<at::Tensor> rows() const { return by_expert(order_.floor_divide(per_token_)); }
  // What each expert reads, (tokens, width), of what all its tokens share.   x: (batch, length,
  // width)
  std::vector<at::Tensor> gather(const at::Tensor& x) const;
  // The same of what a token has for each of its experts.   x: (batch, length, per_token * width)
  std::vector<at::Tensor> gather_own(const at::Tensor& x) const;
  // Back: what the experts gave, one after another.   (batch * length * per_token, width) ->
  // (batch, length, per_token, width)
  at::Tensor give_back(const at::Tensor& x) const;

 private:
  std::vector<at::Tensor> by_expert(const at::Tensor& sorted) const;

  int64_t batch_, length_, per_token_;
  at::Tensor order_, places_;    // (batch * length * per_token): sorted by expert, and back
  std::vector<int64_t> counts_;  // tokens of each expert
};

}  // namespace halftone
