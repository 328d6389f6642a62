#include "calibrate/end_loss.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "calibrate/backward.h"
#include "calibrate/cross_entropy.h"

namespace halftone {
namespace {

constexpr int64_t kLogitBytes = int64_t{1} << 26;      // of one chunk of positions, float32
constexpr uint64_t kLabelStream = 0x6c6162656c730000;  // keeps draws apart from those of windows

at::Tensor uniform_draws(int64_t sequences, int64_t targets, uint64_t seed) {
  Random random(seed ^ kLabelStream);
  at::Tensor draws = at::empty({sequences, targets}, at::kDouble);
  double* draw = draws.mutable_data_ptr<double>();
  for (int64_t i = 0; i < draws.numel(); ++i) draw[i] = static_cast<double>(random.next() >> 11);
  return draws.mul_(0x1p-53);
}

// The token at which the cumulative probability passes each draw.
// probabilities: (positions, vocab) float32; draws: (positions) -> (positions) int64
at::Tensor sample(const at::Tensor& probabilities, const at::Tensor& draws) {
  const at::Tensor cumulative = probabilities.cumsum(1);
  const int64_t last = probabilities.size(1) - 1;
  // sums end near 1, not at 1; a draw at the very end must stay inside
  const at::Tensor total = cumulative.select(1, last).to(at::kDouble);
  const at::Tensor passed = (draws * total).to(cumulative.scalar_type()).unsqueeze(1);
  return at::searchsorted(cumulative, passed, false, /*right=*/true).squeeze(1).clamp_max(last);
}

}  // namespace

EndLoss::EndLoss(const Model& model, const at::Tensor& ids, const Execution& execution,
                 LabelKind labels, uint64_t seed)
    : model_(model),
      execution_(execution),
      head_(model.head(execution)),
      next_(ids.narrow(1, 1, ids.size(1) - 1).to(execution.device, at::kLong)) {
  if (labels == LabelKind::kSampled)
    draws_ = uniform_draws(next_.size(0), next_.size(1), seed).to(execution.device);
}

LossGradient EndLoss::differentiate(const at::Tensor& hidden, int64_t first) const {
  const int64_t batch = hidden.size(0), targets = next_.size(1), width = hidden.size(2);
  const auto normalize = [&](const at::Tensor& x) { return model_.final_norm(x, execution_); };
  const at::Tensor normalized = normalize(hidden).narrow(1, 0, targets).reshape({-1, width});
  const auto mine = [&](const at::Tensor& of) {
    return of.defined() ? of.narrow(0, first, batch).reshape({-1}) : of;
  };
  const at::Tensor next = mine(next_), draws = mine(draws_);
  at::Tensor loss = at::empty({batch * targets}, normalized.options().dtype(at::kDouble));
  at::Tensor gradient = at::empty_like(normalized);
  const int64_t at_once = std::max<int64_t>(1, kLogitBytes / (head_.size(0) * 4));
  for (int64_t p = 0; p < normalized.size(0); p += at_once) {
    const int64_t count = std::min(at_once, normalized.size(0) - p);
    const auto part = [&](const at::Tensor& of) {
      return of.defined() ? of.narrow(0, p, count) : of;
    };
    at::Tensor loss_part = part(loss), gradient_part = part(gradient);
    add_chunk(part(normalized), part(next), part(draws), loss_part, gradient_part);
  }
  // the last position predicts nothing
  const at::Tensor whole =
      at::constant_pad_nd(gradient.view({batch, targets, width}), {0, 0, 0, 1});
  return {loss.view({batch, targets}).sum(1), pull_back(normalize, hidden, whole)};
}

void EndLoss::add_chunk(const at::Tensor& normalized, const at::Tensor& next,
                        const at::Tensor& draws, at::Tensor& loss, at::Tensor& gradient) const {
  at::Tensor logits = at::linear(normalized, head_);
  at::Tensor labels = next;
  if (draws.defined()) labels = sample(at::softmax(logits, -1, wide_type(logits)), draws);
  const at::Tensor slope = differentiate_cross_entropy(std::move(logits), labels, loss);
  at::mm_out(gradient, slope, head_);
  gradient.mul_(kLossScale);  // a power of two: the same bits as before the product, fewer numbers
}

}  // namespace halftone
