#include "evaluate/context_free.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kLogitBytes = int64_t{1} << 26;  // of one chunk of positions

}  // namespace

double context_free_divergence(const Model& model, const Execution& execution,
                               const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  const Head head = model.load_head(execution);
  const int64_t at_once = std::max<int64_t>(1, kLogitBytes / (model.config().vocab * 4));
  const auto positions = static_cast<double>(hidden.size(0));
  at::Tensor sum;  // (vocab) of the predictions
  double entropies = 0;
  for (const at::Tensor& part : hidden.split(at_once, 0)) {
    const at::Tensor log_p = at::log_softmax(widened(model.logits(head, part)), -1);
    const at::Tensor p = log_p.exp();
    const at::Tensor of_part = p.sum(0, false, at::kDouble);
    sum = sum.defined() ? sum + of_part : of_part;
    entropies -= (p * log_p).sum(at::kDouble).item<double>();
  }
  const at::Tensor mean = sum / positions;
  const double entropy_of_mean = -at::xlogy(mean, mean).sum().item<double>();
  return entropy_of_mean - entropies / positions;
}

}  // namespace halftone
