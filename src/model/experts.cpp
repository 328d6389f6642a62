#include "model/experts.h"

#include <ATen/ATen.h>

#include "model/compute.h"

namespace halftone {

at::Tensor chosen_experts(const at::Tensor& scores, int64_t per_token) {
  const at::Tensor order = at::argsort(scores.detach(), /*stable=*/true, -1, /*descending=*/true);
  return order.narrow(-1, 0, per_token).to(at::kInt);
}

at::Tensor expert_weights(const at::Tensor& scores, const at::Tensor& chosen, bool renormalized) {
  const at::Tensor weights = at::softmax(widened(scores), -1).gather(-1, chosen.to(at::kLong));
  return (renormalized ? weights / weights.sum(-1, true) : weights).to(scores.scalar_type());
}

ExpertTokens::ExpertTokens(const at::Tensor& chosen, int64_t experts)
    : batch_(chosen.size(0)), length_(chosen.size(1)), per_token_(chosen.size(2)) {
  const at::Tensor places = chosen.flatten().to(at::kLong);
  order_ = at::argsort(places, /*stable=*/true, 0, /*descending=*/false);
  places_ = at::argsort(order_);
  const at::Tensor counts = at::bincount(places, {}, experts).cpu();
  counts_.assign(counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + experts);
}

std::vector<at::Tensor> ExpertTokens::by_expert(const at::Tensor& sorted) const {
  return at::split_with_sizes(sorted, counts_);
}

std::vector<at::Tensor> ExpertTokens::gather(const at::Tensor& x) const {
  return by_expert(x.flatten(0, 1).index_select(0, order_.floor_divide(per_token_)));
}

std::vector<at::Tensor> ExpertTokens::gather_own(const at::Tensor& x) const {
  return by_expert(x.reshape({-1, x.size(2) / per_token_}).index_select(0, order_));
}

at::Tensor ExpertTokens::give_back(const at::Tensor& x) const {
  return x.index_select(0, places_).view({batch_, length_, per_token_, x.size(1)});
}

}  // namespace halftone
