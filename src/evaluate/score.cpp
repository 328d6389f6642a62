#include "evaluate/score.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>
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

void check_vocabularies(int64_t vocab, const Model* reference, const KeptOfScores& kept) {
  const int64_t other = reference        ? reference->config().vocab
                        : kept.reference ? kept.reference->vocab()
                                         : vocab;
  require(
      other == vocab,
      "the reference has a vocabulary of {} tokens, the model one of {}: they cannot be compared",
      other, vocab);
}

// A model behind its last block.
struct Headed {
  const Model& model;
  Head head;
  // hidden: (positions, hidden) -> (positions, vocab)
  at::Tensor logits(const at::Tensor& hidden) const { return model.logits(head, hidden); }
};

// Turns hidden states into scores, some positions at a time.
class PositionScorer {
 public:
  PositionScorer(Headed model, std::optional<Headed> reference, const KeptOfScores& kept)
      : model_(std::move(model)), reference_(std::move(reference)), kept_(kept) {}

  // Of one window.   ids: (length); hidden, reference (undefined without): (length, hidden)
  void add(int64_t window, const at::Tensor& ids, const at::Tensor& hidden,
           const at::Tensor& reference, int64_t first_scored, Scores& scores) const {
    const int64_t end = ids.size(0) - 1;
    const int64_t at_once = std::max<int64_t>(1, kLogitBytes / (model_.model.config().vocab * 4));
    for (int64_t p = first_scored; p < end; p += at_once) {
      const int64_t count = std::min(at_once, end - p);
      const at::Tensor targets = ids.narrow(0, p + 1, count).to(hidden.device(), at::kLong);
      const at::Tensor logits = model_.logits(hidden.narrow(0, p, count));
      if (kept_.written) kept_.written->append(logits);
      if (kept_.reference)
        score_against_kept(logits, targets, kept_.reference->rows(window, p, count), scores);
      else
        score_logits(logits, targets,
                     reference_ ? reference_->logits(reference.narrow(0, p, count)) : at::Tensor(),
                     scores);
    }
  }

 private:
  Headed model_;
  std::optional<Headed> reference_;
  const KeptOfScores kept_;
};

template <class List>
List part_of(const List& list, int64_t first, int64_t count) {
  if (list.empty()) return {};
  const auto begin = list.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

}  // namespace

Scores scores_of_windows(const Scores& scores, int64_t first, int64_t count) {
  const auto part = [&](const auto& list) {
    return part_of(list, first * scores.positions, count * scores.positions);
  };
  return {.windows = count,
          .positions = scores.positions,
          .nll = part(scores.nll),
          .reference_nll = part(scores.reference_nll),
          .kl = part(scores.kl),
          .same_top = part(scores.same_top),
          .reverse_kl = part(scores.reverse_kl),
          .confidence = part(scores.confidence)};
}

Scores score_arithmetic(const Model& model, const TokenWindows& windows, const Execution& coarse,
                        const Execution& fine, Progress& progress) {
  const at::NoGradGuard no_grad;
  const at::Tensor ids = at::tensor(windows.ids, at::kInt).view({windows.count, windows.length});
  const PositionScorer scorer({model, model.load_head(coarse)},
                              Headed{model, model.load_head(fine)}, {});
  progress.begin("noise floor", 2 * model.config().layers);
  Scores scores{windows.count, windows.length - 1 - windows.first_scored, {}, {}, {}, {}, {}, {}};
  int64_t done = 0;
  const at::Tensor rounded = run_model(model, ids, coarse, progress, done);
  const at::Tensor exact = run_model(model, ids, fine, progress, done);
  for (int64_t w = 0; w < windows.count; ++w)
    scorer.add(w, ids[w], rounded[w], exact[w], windows.first_scored, scores);
  progress.end();
  return scores;
}

Scores score_windows(const Model& model, const Model* reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress, const KeptOfScores& kept) {
  const at::NoGradGuard no_grad;
  const int64_t length = windows.length;
  check_vocabularies(model.config().vocab, reference, kept);
  const at::Tensor ids = at::tensor(windows.ids, at::kInt).view({windows.count, length});
  std::optional<Headed> compared;
  if (reference) compared.emplace(Headed{*reference, reference->load_head(execution)});
  const PositionScorer scorer({model, model.load_head(execution)}, std::move(compared), kept);
  const int64_t window_bytes =
      length * model.config().hidden * static_cast<int64_t>(at::elementSize(execution.dtype));
  const int64_t at_once = std::clamp<int64_t>(kHiddenBytes / window_bytes, 1, windows.count);
  const int64_t rounds = (windows.count + at_once - 1) / at_once;
  const bool known = reference && kept.states && kept.states->hidden.defined();
  const int64_t reference_layers = reference && !known ? reference->config().layers : 0;
  progress.begin("evaluate", rounds * (model.config().layers + reference_layers) + windows.count);
  Scores scores{windows.count, length - 1 - windows.first_scored, {}, {}, {}, {}, {}, {}};
  int64_t done = 0, window = 0;
  for (const at::Tensor& part : ids.split(at_once, 0)) {
    const at::Tensor hidden = run_model(model, part, execution, progress, done);
    at::Tensor reference_hidden = known ? kept.states->hidden : at::Tensor();
    if (reference && !known)
      reference_hidden = run_model(*reference, part, execution, progress, done);
    if (kept.states && rounds == 1) kept.states->hidden = reference ? reference_hidden : hidden;
    for (int64_t w = 0; w < part.size(0); ++w) {
      scorer.add(window++, part[w], hidden[w], reference ? reference_hidden[w] : at::Tensor(),
                 windows.first_scored, scores);
      progress.update(++done, "logits");
    }
  }
  progress.end();
  return scores;
}

}  // namespace halftone
