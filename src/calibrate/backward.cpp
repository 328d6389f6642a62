#include "calibrate/backward.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace halftone {
namespace {

// A leaf of a graph of its own.
at::Tensor leaf_of(const at::Tensor& x) {
  at::Tensor leaf = x.detach();
  leaf.set_requires_grad(true);
  return leaf;
}

// What each linear of a block reads and gives.
struct Forward {
  std::vector<StageInput> inputs;  // without gradients
  std::vector<at::Tensor> outputs;
  at::Tensor experts;  // as in LinearInputs
};

// Runs all stages of a block.   experts: those to follow, or undefined
Forward run_stages(const Model& model, const Block& block, BlockState& state,
                   const at::Tensor& experts = {}) {
  Forward all;
  for (int stage = 0; stage < model.family().stages; ++stage) {
    if (state.experts.defined() && experts.defined()) state.experts = experts;
    if (state.experts.defined()) all.experts = state.experts;
    const std::vector<StageInput> inputs = model.inputs(block, stage, state);
    for (at::Tensor& output : model.advance(block, stage, inputs, state))
      all.outputs.push_back(std::move(output));
    std::vector<StageInput> read;  // one tensor for all linears that share it
    for (const StageInput& input : inputs) read.push_back({input.x.detach(), input.rows});
    for (const LinearSlot& slot : model.linears_of_stage(block.index, stage))
      all.inputs.push_back(read[slot.input]);
  }
  return all;
}

}  // namespace

BlockGradient differentiate_block(const Model& model, const Block& block, const at::Tensor& hidden,
                                  const at::Tensor& gradient, GradientParts parts,
                                  const at::Tensor& experts) {
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = leaf_of(hidden);
  BlockState state{leaf};
  const Forward forward = run_stages(model, block, state, experts);
  // backward
  BlockGradient result;
  std::vector<at::Tensor> at;
  if (parts.hidden) at.push_back(leaf);
  for (const LinearSlot& slot : model.linears_of_block(block.index)) {
    if (!parts.linears) break;
    const StageInput& input = forward.inputs[slot.index];
    at.push_back(forward.outputs[slot.index]);
    result.linears.push_back({slot.relative, input.x, {}, {}, input.rows});
  }
  const auto gradients = torch::autograd::grad({state.hidden}, at, {gradient});
  if (parts.hidden) result.hidden = gradients.front();
  const size_t first = parts.hidden ? 1 : 0;
  for (size_t i = 0; i < result.linears.size(); ++i) result.linears[i].delta = gradients[first + i];
  return result;
}

LinearInputs linear_inputs(const Model& model, const Block& block, const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  BlockState state{hidden};
  Forward forward = run_stages(model, block, state);
  LinearInputs all{{}, forward.experts};
  for (StageInput& input : forward.inputs) all.x.push_back(std::move(input.x));
  return all;
}

at::Tensor pull_back(const std::function<at::Tensor(const at::Tensor&)>& function,
                     const at::Tensor& x,
                     const std::function<at::Tensor(at::Tensor value)>& slope_of) {
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = leaf_of(x), value = function(leaf);
  const at::Tensor slope = slope_of(value.detach());
  return torch::autograd::grad({value}, {leaf}, {slope}).front();
}

}  // namespace halftone
