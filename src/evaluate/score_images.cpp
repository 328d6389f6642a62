#include "evaluate/score_images.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"
#include "evaluate/context_free.h"
#include "evaluate/logits.h"

namespace halftone {
namespace {

constexpr int64_t kPositionsPerBatch = 8192;

void require_alike(const ModelConfig& config, const ModelConfig& reference) {
  const auto read_by = [](const ModelConfig& of) {
    const ImageSizes& image = of.image;
    if (!of.reads_images()) return std::string("text");
    return fmt::format("images of {} x {} in patches of {} x {} behind {} of its own, {} classes",
                       image.width, image.height, image.patch_width, image.patch_height,
                       image.class_tokens, of.vocab);
  };
  require(read_by(config) == read_by(reference),
          "the reference reads {}, the model {}: they cannot be compared", read_by(reference),
          read_by(config));
}

// A model whose blocks are all in memory.
class HeldClassifier {
 public:
  HeldClassifier(const Model& model, const Execution& execution)
      : model_(model),
        execution_(execution),
        positions_(model.positions(model.config().context, execution)),
        head_(model.load_head(execution)) {
    for (int64_t i = 0; i < model.config().layers; ++i)
      blocks_.push_back(model.load_block(i, execution, positions_));
  }
  HeldClassifier(const HeldClassifier&) = delete;
  HeldClassifier& operator=(const HeldClassifier&) = delete;

  // What the head reads.   -> (batch, class tokens, hidden)
  at::Tensor hidden(const at::Tensor& items) const {
    BlockState state{model_.embed(items, execution_)};
    for (const Block& block : blocks_) model_.run_block(block, state);
    return state.hidden.narrow(1, 0, model_.config().image.class_tokens).contiguous();
  }
  at::Tensor logits(const at::Tensor& hidden) const { return model_.logits(head_, hidden); }

 private:
  const Model& model_;
  Execution execution_;
  Positions positions_;
  Head head_;
  std::vector<Block> blocks_;
};

void append_correct(const at::Tensor& logits, const at::Tensor& labels,
                    std::vector<uint8_t>& correct) {
  const at::Tensor right = logits.argmax(-1).eq(labels).to(at::kCPU, at::kByte).contiguous();
  correct.insert(correct.end(), right.data_ptr<uint8_t>(),
                 right.data_ptr<uint8_t>() + right.numel());
}

}  // namespace

ImageScores score_images(const Model& model, const Model* reference, const ImageBatches& images,
                         const Execution& execution, Progress& progress) {
  const at::NoGradGuard no_grad;
  if (reference) require_alike(model.config(), reference->config());
  const HeldClassifier own(model, execution);
  std::optional<HeldClassifier> other;
  if (reference) other.emplace(*reference, execution);
  ImageScores result;
  result.scores.windows = images.count;
  result.scores.positions = 1;
  std::vector<at::Tensor> states;  // of the reference
  const int64_t at_once = std::max<int64_t>(1, kPositionsPerBatch / model.config().context);
  progress.begin("evaluate", images.count);
  for (int64_t first = 0; first < images.count; first += at_once) {
    const ModelInputs batch = images.read(first, std::min(at_once, images.count - first));
    const at::Tensor labels = batch.labels.to(execution.device);
    const at::Tensor logits = own.logits(own.hidden(batch.items));
    append_correct(logits, labels, result.correct);
    at::Tensor compared;
    if (other) {
      states.push_back(other->hidden(batch.items));
      compared = other->logits(states.back());
      append_correct(compared, labels, result.reference_correct);
    }
    score_logits(logits, labels, compared, result.scores);
    progress.update(first + labels.size(0), "images");
  }
  progress.end();
  if (reference)
    result.context_free_kl = context_free_divergence(*reference, execution, at::cat(states));
  return result;
}

}  // namespace halftone
