#include "calibrate/backward_pass.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <limits>
#include <utility>

#include "calibrate/finite.h"

namespace halftone {
namespace {

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

BackwardPass::BackwardPass(const Model& model, Sequences& sequences, const Execution& execution,
                           const Positions& positions, TensorStore& store)
    : model_(model),
      sequences_(sequences),
      execution_(execution),
      positions_(positions),
      store_(store) {}

void BackwardPass::run(const Activations& entering, int64_t first, int64_t end,
                       const BackwardOptions& options, GradientObserver& observer) {
  const at::NoGradGuard no_grad;
  finite_ = at::ones({sequences_.count()}, at::kBool);
  Activations flowing(at::empty_like(entering.hidden()));  // outputs, then their gradients
  run_forward(entering, first, options, flowing);
  differentiate_loss(options, flowing);
  for (int64_t index = model_.config().layers - 1; index >= first; --index) {
    const Block block = model_.load_block(index, execution_, positions_);
    differentiate(block, {.linears = end > index, .hidden = index > first},
                  index == first ? options.original : nullptr, flowing, observer);
    inputs_.pop_back();
    if (options.passed) options.passed(index);
  }
}

void BackwardPass::run_forward(const Activations& entering, int64_t first,
                               const BackwardOptions& options, Activations& outputs) {
  inputs_.clear();
  for (int64_t index = first; index < model_.config().layers; ++index) {
    const Block block = model_.load_block(index, execution_, positions_);
    std::vector<int64_t> handles;
    for (const Batch& batch : sequences_.batches()) {
      const at::Tensor input =
          index == first ? entering.hidden(batch) : outputs.hidden(batch).clone();
      handles.push_back(store_.put(input));
      BlockState state{input.to(execution_.dtype)};
      model_.run_block(block, state);
      outputs.hidden(batch).copy_(state.hidden);
    }
    inputs_.push_back(std::move(handles));
    if (options.passed) options.passed(index);
  }
}

void BackwardPass::differentiate_loss(const BackwardOptions& options, Activations& outputs) {
  const EndLoss loss(model_, sequences_.ids(), execution_, options.labels, options.seed);
  losses_ = at::full({sequences_.count()}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  for (const Batch& batch : sequences_.batches()) {
    at::Tensor rows = outputs.hidden(batch);
    LossGradient gradient = loss.differentiate(rows.to(execution_.dtype), batch.first);
    leave_out({&gradient.hidden}, batch);
    rows.copy_(gradient.hidden);
    losses_.narrow(0, batch.first, batch.count)
        .copy_(gradient.loss / static_cast<double>(sequences_.length() - 1));
  }
  sequences_.require_few_left_out("the loss");
}

void BackwardPass::differentiate(const Block& block, GradientParts parts,
                                 const Activations* original, Activations& gradients,
                                 GradientObserver& observer) {
  if (parts.linears) observer.enter(block);
  auto handle = inputs_.back().begin();
  for (const Batch& batch : sequences_.batches()) {
    const at::Tensor input = store_.take(*handle++);
    at::Tensor rows = gradients.hidden(batch);
    BlockGradient gradient = differentiate_block(model_, block, input.to(execution_.dtype),
                                                 rows.to(execution_.dtype), parts);
    if (original) add_original(block, original->hidden(batch), gradient);
    leave_out(tensors_of(gradient), batch);
    if (parts.linears) observer.add(gradient.linears, batch.first);
    if (parts.hidden) rows.copy_(gradient.hidden);
  }
  if (parts.linears) observer.leave(block, finite_.logical_not().sum().item<int64_t>());
  sequences_.require_few_left_out(fmt::format("block {}", block.index));
}

// hidden: (batch, length, hidden), the block's input in the full-precision model
void BackwardPass::add_original(const Block& block, const at::Tensor& hidden,
                                BlockGradient& gradient) const {
  const std::vector<at::Tensor> inputs = linear_inputs(model_, block, hidden.to(execution_.dtype));
  for (size_t i = 0; i < gradient.linears.size(); ++i) gradient.linears[i].original = inputs[i];
}

void BackwardPass::leave_out(const std::vector<at::Tensor*>& parts, const Batch& batch) {
  at::Tensor finite;  // (batch); undefined: all
  const void* last = nullptr;
  for (const at::Tensor* part : parts) {
    if (part->data_ptr() == last) continue;
    last = part->data_ptr();
    const at::Tensor mask = finite_sequences(*part);
    if (mask.defined()) finite = finite.defined() ? finite.logical_and(mask) : mask;
  }
  if (!finite.defined()) return;
  const at::Tensor bad = finite.logical_not();
  for (at::Tensor* part : parts) *part = part->masked_fill(bad.view({-1, 1, 1}), 0);
  finite_.narrow(0, batch.first, batch.count).logical_and_(finite.cpu());
  sequences_.leave_out(finite, batch.first, LeftOutFor::kGradients);
}

}  // namespace halftone
