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

// Runs all stages; what their linears read comes without gradients.
std::vector<at::Tensor> advance(const Model& model, const Block& block, BlockState& state) {
  std::vector<at::Tensor> inputs;
  for (int stage = 0; stage < model.family().stages; ++stage) {
    const at::Tensor input = model.family().stage_input(block, stage, state);
    model.family().advance(block, stage, input, state);
    inputs.push_back(input.detach());
  }
  return inputs;
}

}  // namespace

BlockGradient differentiate_block(const Model& model, const Block& block, const at::Tensor& hidden,
                                  const at::Tensor& gradient, GradientParts parts) {
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = leaf_of(hidden);
  // forward, remembering what each linear reads and writes
  std::map<std::string, at::Tensor, std::less<>> outputs;
  Block tapped = block;
  tapped.tap = [&](std::string_view linear, const at::Tensor& output) {
    outputs.emplace(linear, output);
  };
  BlockState state{leaf, {}};
  const std::vector<at::Tensor> inputs = advance(model, tapped, state);
  // backward
  BlockGradient result;
  std::vector<at::Tensor> at;
  if (parts.hidden) at.push_back(leaf);
  for (const LinearSlot& slot : model.linears_of_block(block.index)) {
    if (!parts.linears) break;
    at.push_back(outputs.find(slot.relative)->second);
    result.linears.push_back({slot.relative, inputs[static_cast<size_t>(slot.stage)], {}});
  }
  const auto gradients = torch::autograd::grad({state.hidden}, at, {gradient});
  if (parts.hidden) result.hidden = gradients.front();
  const size_t first = parts.hidden ? 1 : 0;
  for (size_t i = 0; i < result.linears.size(); ++i) result.linears[i].delta = gradients[first + i];
  return result;
}

std::vector<at::Tensor> stage_inputs(const Model& model, const Block& block,
                                     const at::Tensor& hidden) {
  const at::NoGradGuard no_grad;
  BlockState state{hidden, {}};
  return advance(model, block, state);
}

at::Tensor pull_back(const std::function<at::Tensor(const at::Tensor&)>& function,
                     const at::Tensor& x, const at::Tensor& gradient) {
  const at::AutoGradMode recording(true);
  const at::Tensor leaf = leaf_of(x);
  return torch::autograd::grad({function(leaf)}, {leaf}, {gradient}).front();
}

}  // namespace halftone
