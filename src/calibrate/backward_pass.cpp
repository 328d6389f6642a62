#include "calibrate/backward_pass.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <limits>
#include <utility>

#include "calibrate/finite.h"

namespace halftone {
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
  const EndLoss loss(model_, sequences_.inputs(), execution_, options.labels, options.seed);
  losses_ = at::full({sequences_.count()}, std::numeric_limits<double>::quiet_NaN(), at::kDouble);
  for (const Batch& batch : sequences_.batches()) {
    at::Tensor rows = outputs.hidden(batch);
    LossGradient gradient = loss.differentiate(rows.to(execution_.dtype), batch.first);
    leave_out({{&gradient.hidden, TokenRows({}, sequences_.length())}}, batch);
    rows.copy_(gradient.hidden);
    losses_.narrow(0, batch.first, batch.count)
        .copy_(gradient.loss / static_cast<double>(loss.targets()));
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
    LinearInputs full;  // of the full-precision model, whose choice of experts pairs tokens
    if (original) full = linear_inputs(model_, block, original->hidden(batch).to(execution_.dtype));
    BlockGradient gradient = differentiate_block(model_, block, input.to(execution_.dtype),
                                                 rows.to(execution_.dtype), parts, full.experts);
    for (size_t i = 0; i < full.x.size(); ++i) gradient.linears[i].original = full.x[i];
    leave_out(parts_of(gradient), batch);
    if (parts.linears) observer.add(gradient.linears, batch);
    if (parts.hidden) rows.copy_(gradient.hidden);
  }
  if (parts.linears) observer.leave(block, finite_.logical_not().sum().item<int64_t>());
  sequences_.require_few_left_out(fmt::format("block {}", block.index));
}

// Inputs first: those of linears that share one are neighbours.
std::vector<BackwardPass::Part> BackwardPass::parts_of(BlockGradient& gradient) const {
  std::vector<Part> all;
  const auto add = [&](at::Tensor& numbers, const at::Tensor& rows) {
    if (numbers.defined()) all.push_back({&numbers, TokenRows(rows, sequences_.length())});
  };
  add(gradient.hidden, {});
  for (LinearGradient& linear : gradient.linears) add(linear.input, linear.rows);
  for (LinearGradient& linear : gradient.linears) add(linear.original, linear.rows);
  for (LinearGradient& linear : gradient.linears) add(linear.delta, linear.rows);
  return all;
}

void BackwardPass::leave_out(const std::vector<Part>& parts, const Batch& batch) {
  at::Tensor finite;  // (batch); undefined: all
  const void* last = nullptr;
  for (const Part& part : parts) {
    if (part.numbers->data_ptr() == last) continue;
    last = part.numbers->data_ptr();
    const at::Tensor mask = finite_sequences(*part.numbers, part.rows, batch.count);
    if (mask.defined()) finite = finite.defined() ? finite.logical_and(mask) : mask;
  }
  if (!finite.defined()) return;
  const at::Tensor bad = finite.logical_not();
  for (const Part& part : parts)
    *part.numbers = part.numbers->masked_fill(part.rows.of_sequences(bad, *part.numbers), 0);
  finite_.narrow(0, batch.first, batch.count).logical_and_(finite.cpu());
  sequences_.leave_out(finite, batch.first, LeftOutFor::kGradients);
}

}  // namespace halftone
