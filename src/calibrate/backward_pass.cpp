#include "calibrate/backward_pass.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "calibrate/finite.h"

namespace halftone {
namespace {

// Some sequences of one batch, differentiated at once.
struct Step {
  size_t batch;
  int64_t row, count;  // in the batch
  int64_t first;       // among all sequences
};

std::vector<Step> steps_of(const std::vector<at::Tensor>& batches, int64_t tokens_per_step) {
  std::vector<Step> steps;
  int64_t first = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    const int64_t rows = batches[i].size(0);
    const int64_t at_once = std::max<int64_t>(1, tokens_per_step / batches[i].size(1));
    for (int64_t row = 0; row < rows; row += at_once)
      steps.push_back({i, row, std::min(at_once, rows - row), first + row});
    first += rows;
  }
  return steps;
}

// Inputs first: those of linears that share one are neighbours.
std::vector<at::Tensor*> tensors_of(BlockGradient& gradient) {
  std::vector<at::Tensor*> all;
  if (gradient.hidden.defined()) all.push_back(&gradient.hidden);
  for (LinearGradient& linear : gradient.linears) all.push_back(&linear.input);
  for (LinearGradient& linear : gradient.linears)
    if (linear.original.defined()) all.push_back(&linear.original);
  for (LinearGradient& linear : gradient.linears) all.push_back(&linear.delta);
  return all;
}

}  // namespace

BackwardPass::BackwardPass(const Model& model, const at::Tensor& ids, const Execution& execution,
                           const Positions& positions, TensorStore& store)
    : model_(model),
      ids_(ids),
      execution_(execution),
      positions_(positions),
      store_(store),
      dropped_(static_cast<size_t>(ids.size(0))) {}

int64_t BackwardPass::dropped_sequences() const {
  return std::count(dropped_.begin(), dropped_.end(), true);
}

void BackwardPass::run(std::vector<at::Tensor> hidden, int64_t first, int64_t end,
                       const BackwardOptions& options, GradientObserver& observer) {
  const at::NoGradGuard no_grad;
  left_out_.assign(dropped_.size(), false);
  climb(hidden, first, options);
  turn(hidden, options);
  for (int64_t index = model_.config().layers - 1; index >= first; --index) {
    const Block block = model_.load_block(index, execution_, positions_);
    descend(hidden, block, {.linears = index<end, .hidden = index> first}, options,
            index == first ? options.original : std::vector<at::Tensor>(), observer);
    inputs_.pop_back();
    require_few_dropped(index);
    if (options.passed) options.passed(index);
  }
}

// From inputs of block `first` to outputs of the last one.
void BackwardPass::climb(std::vector<at::Tensor>& hidden, int64_t first,
                         const BackwardOptions& options) {
  inputs_.clear();
  for (int64_t index = first; index < model_.config().layers; ++index) {
    const Block block = model_.load_block(index, execution_, positions_);
    std::vector<int64_t> handles;
    for (at::Tensor& batch : hidden) {
      handles.push_back(store_.put(batch));
      BlockState state{batch.to(execution_.dtype)};
      model_.run_block(block, state);
      batch = state.hidden.to(options.storage);
    }
    inputs_.push_back(std::move(handles));
    if (options.passed) options.passed(index);
  }
}

// From outputs of the last block to the loss's gradient there.
void BackwardPass::turn(std::vector<at::Tensor>& hidden, const BackwardOptions& options) {
  const EndLoss loss(model_, ids_, execution_, options.labels, options.seed);
  losses_ = at::full({ids_.size(0)}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  for (const Step& step : steps_of(hidden, options.tokens_per_step)) {
    at::Tensor rows = hidden[step.batch].narrow(0, step.row, step.count);
    LossGradient gradient = loss.differentiate(rows.to(execution_.dtype), step.first);
    leave_out({&gradient.hidden}, step.first);
    rows.copy_(gradient.hidden);
    losses_.narrow(0, step.first, step.count)
        .copy_(gradient.loss / static_cast<double>(ids_.size(1) - 1));
  }
  require_few_dropped(model_.config().layers);
}

// From gradients at the outputs of a block to those at its inputs.
void BackwardPass::descend(std::vector<at::Tensor>& gradients, const Block& block,
                           GradientParts parts, const BackwardOptions& options,
                           const std::vector<at::Tensor>& original, GradientObserver& observer) {
  if (parts.linears) observer.enter(block);
  at::Tensor inputs;
  for (const Step& step : steps_of(gradients, options.tokens_per_step)) {
    if (step.row == 0) inputs = store_.take(inputs_.back()[step.batch]);
    at::Tensor rows = gradients[step.batch].narrow(0, step.row, step.count);
    const at::Tensor input = inputs.narrow(0, step.row, step.count);
    BlockGradient gradient = differentiate_block(model_, block, input.to(execution_.dtype),
                                                 rows.to(execution_.dtype), parts);
    if (!original.empty())
      add_original(block, original[step.batch].narrow(0, step.row, step.count), gradient);
    leave_out(tensors_of(gradient), step.first);
    if (parts.linears) observer.add(gradient.linears, step.first);
    if (parts.hidden) rows.copy_(gradient.hidden);
  }
  if (parts.linears) observer.leave(block, std::count(left_out_.begin(), left_out_.end(), true));
}

// hidden: (batch, length, hidden), the block's input in the full-precision model
void BackwardPass::add_original(const Block& block, const at::Tensor& hidden,
                                BlockGradient& gradient) const {
  const std::vector<at::Tensor> inputs = linear_inputs(model_, block, hidden.to(execution_.dtype));
  for (size_t i = 0; i < gradient.linears.size(); ++i) gradient.linears[i].original = inputs[i];
}

void BackwardPass::leave_out(const std::vector<at::Tensor*>& parts, int64_t first) {
  at::Tensor finite;  // (batch); undefined: all
  const void* seen = nullptr;
  for (const at::Tensor* part : parts) {
    if (part->data_ptr() == seen) continue;
    seen = part->data_ptr();
    const at::Tensor mask = finite_sequences(*part);
    if (mask.defined()) finite = finite.defined() ? finite.logical_and(mask) : mask;
  }
  if (!finite.defined()) return;
  const at::Tensor bad = finite.logical_not();
  for (at::Tensor* part : parts) *part = part->masked_fill(bad.view({-1, 1, 1}), 0);
  const at::Tensor list = bad.nonzero().cpu();
  for (int64_t i = 0; i < list.size(0); ++i)
    dropped_[static_cast<size_t>(first + list[i].item<int64_t>())] =
        left_out_[static_cast<size_t>(first + list[i].item<int64_t>())] = true;
}

void BackwardPass::require_few_dropped(int64_t block) const {
  require(dropped_sequences() * 100 <= ids_.size(0),
          "{}: the gradients of {} of {} calibration sequences are not finite; a model that "
          "overflows cannot be calibrated by its end loss (try --compute float32, or "
          "objective.kind = input)",
          block < model_.config().layers ? fmt::format("block {}", block) : "the loss",
          dropped_sequences(), ids_.size(0));
}

}  // namespace halftone
