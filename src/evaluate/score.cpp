#include "evaluate/score.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "evaluate/logits.h"

namespace halftone {
namespace {

constexpr int64_t kTokensPerBatch = 8192;           // through one block at a time
constexpr int64_t kHiddenBytes = int64_t{1} << 30;  // of one model's residual stream
constexpr int64_t kLogitBytes = int64_t{1} << 26;   // of one chunk of positions

// ids: (windows, length) -> the last block's hidden states, (windows, length, hidden)
at::Tensor run_model(const Model& model, const at::Tensor& ids, const Execution& execution,
                     Progress& progress, int64_t& done) {
  const Positions positions = model.positions(ids.size(1), execution);
  std::vector<BlockState> batches;
  for (const at::Tensor& part : ids.split(std::max<int64_t>(1, kTokensPerBatch / ids.size(1)), 0))
    batches.push_back({model.embed(part, execution)});
  for (int64_t i = 0; i < model.config().layers; ++i) {
    const Block block = model.load_block(i, execution, positions);
    for (BlockState& batch : batches) model.run_block(block, batch);
    progress.update(++done, fmt::format("block {}", i));
  }
  std::vector<at::Tensor> hidden;
  for (BlockState& batch : batches) hidden.push_back(std::exchange(batch.hidden, {}));
  return at::cat(hidden);
}

}  // namespace

Scores score_windows(const Model& model, const Model* reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress, ReferenceStates* kept) {
  const at::NoGradGuard no_grad;
  const int64_t vocab = model.config().vocab, length = windows.length;
  require(
      reference == nullptr || reference->config().vocab == vocab,
      "the reference has a vocabulary of {} tokens, the model one of {}: they cannot be compared",
      reference ? reference->config().vocab : 0, vocab);
  const at::Tensor ids = at::tensor(windows.ids, at::kInt).view({windows.count, length});
  const Head head = model.load_head(execution);
  const Head reference_head = reference ? reference->load_head(execution) : Head();
  const int64_t window_bytes =
      length * model.config().hidden * static_cast<int64_t>(at::elementSize(execution.dtype));
  const int64_t at_once = std::clamp<int64_t>(kHiddenBytes / window_bytes, 1, windows.count);
  const int64_t rounds = (windows.count + at_once - 1) / at_once;
  const int64_t positions_at_once = std::max<int64_t>(1, kLogitBytes / (vocab * 4));
  const bool known = reference && kept && kept->hidden.defined();
  const int64_t reference_layers = reference && !known ? reference->config().layers : 0;
  progress.begin("evaluate", rounds * (model.config().layers + reference_layers) + windows.count);
  Scores scores{windows.count, length - 1, {}, {}, {}, {}};
  int64_t done = 0;
  for (const at::Tensor& part : ids.split(at_once, 0)) {
    const at::Tensor hidden = run_model(model, part, execution, progress, done);
    at::Tensor reference_hidden = known ? kept->hidden : at::Tensor();
    if (reference && !known)
      reference_hidden = run_model(*reference, part, execution, progress, done);
    if (kept && rounds == 1) kept->hidden = reference ? reference_hidden : hidden;
    for (int64_t w = 0; w < part.size(0); ++w) {
      const at::Tensor targets = part[w].narrow(0, 1, length - 1).to(execution.device, at::kLong);
      for (int64_t p = 0; p < length - 1; p += positions_at_once) {
        const int64_t count = std::min(positions_at_once, length - 1 - p);
        const auto logits_of = [&](const Model& of, const Head& by, const at::Tensor& states) {
          return of.logits(by, states[w].narrow(0, p, count));
        };
        score_logits(
            logits_of(model, head, hidden), targets.narrow(0, p, count),
            reference ? logits_of(*reference, reference_head, reference_hidden) : at::Tensor(),
            scores);
      }
      progress.update(++done, "logits");
    }
  }
  progress.end();
  return scores;
}

}  // namespace halftone
