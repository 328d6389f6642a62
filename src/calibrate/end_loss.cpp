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

EndLoss::EndLoss(const Model& model, const ModelInputs& inputs, const Execution& execution,
                 LabelKind labels, uint64_t seed)
    : model_(model), head_(model.load_head(execution)) {
  const ModelConfig& config = model.config();
  const int64_t length = inputs.items.size(1);
  // the last token predicts nothing
  read_ = config.reads_images() ? config.image.class_tokens : length - 1;
  labels_ =
      (config.reads_images() ? inputs.labels.unsqueeze(1) : inputs.items.narrow(1, 1, length - 1))
          .to(execution.device, at::kLong);
  if (labels == LabelKind::kSampled)
    draws_ = uniform_draws(labels_.size(0), targets(), seed).to(execution.device);
}

LossGradient EndLoss::differentiate(const at::Tensor& hidden, int64_t first) const {
  const int64_t batch = hidden.size(0), width = hidden.size(2);
  const at::Tensor read = hidden.narrow(1, 0, read_);
  // of each target what its logits are made of
  const at::Tensor rows =
      model_.config().reads_images() ? read.contiguous() : read.reshape({-1, width});
  const auto mine = [&](const at::Tensor& of) {
    return of.defined() ? of.narrow(0, first, batch).reshape({-1}) : of;
  };
  const at::Tensor labels = mine(labels_), draws = mine(draws_);
  at::Tensor loss = at::empty({labels.size(0)}, rows.options().dtype(at::kDouble));
  at::Tensor gradient = at::empty_like(rows);
  const int64_t at_once = std::max<int64_t>(1, kLogitBytes / (model_.config().vocab * 4));
  for (int64_t p = 0; p < rows.size(0); p += at_once) {
    const int64_t count = std::min(at_once, rows.size(0) - p);
    const auto part = [&](const at::Tensor& of) {
      return of.defined() ? of.narrow(0, p, count) : of;
    };
    at::Tensor loss_part = part(loss);
    part(gradient).copy_(differentiate_chunk(part(rows), part(labels), part(draws), loss_part));
  }
  gradient.mul_(kLossScale);
  return {
      loss.view({batch, targets()}).sum(1),
      at::constant_pad_nd(gradient.view({batch, read_, width}), {0, 0, 0, hidden.size(1) - read_})};
}

at::Tensor EndLoss::differentiate_chunk(const at::Tensor& hidden, const at::Tensor& labels,
                                        const at::Tensor& draws, at::Tensor& loss) const {
  const auto logits_of = [&](const at::Tensor& x) { return model_.logits(head_, x); };
  return pull_back(logits_of, hidden, [&](at::Tensor logits) {
    at::Tensor chosen = labels;
    if (draws.defined()) chosen = sample(at::softmax(logits, -1, wide_type(logits)), draws);
    return differentiate_cross_entropy(std::move(logits), chosen, loss);
  });
}

}  // namespace halftone
