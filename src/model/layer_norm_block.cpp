#include "model/layer_norm_block.h"

#include <ATen/ATen.h>

namespace halftone {
namespace {

// Of a block's norms.
enum Norm { kAttentionNorm, kMlpNorm };

at::Tensor normalized(const Block& block, Norm norm, const at::Tensor& x) {
  const size_t weight = 2 * static_cast<size_t>(norm);
  return layer_norm(x, block.tensors[weight], block.tensors[weight + 1], block.layer.norm_epsilon);
}

QueryKeyValue taken_apart(const Block& block, std::span<const at::Tensor> outputs) {
  switch (block.layer.layout) {
    case QueryKeyValueLayout::kSeparate:
      return {outputs[0], outputs[1], outputs[2]};
    case QueryKeyValueLayout::kWhole:
      return split_whole(outputs[0], block.layer.attention);
    case QueryKeyValueLayout::kGroups:
      return split_groups(outputs[0], block.layer.attention);
  }
  return {};
}

at::Tensor attended(const Block& block, std::span<const at::Tensor> outputs) {
  const QueryKeyValue parts = taken_apart(block, outputs);
  return attend(parts.q, parts.k, parts.v, block.positions->rope, block.layer.attention);
}

}  // namespace

namespace four_stages {

std::vector<StatePart> parts() {
  using enum Dim;
  return {{"input of the next stage", {kQuery, kIntermediate}},
          {"what attention adds, once the MLP has read", {kHidden}}};
}

std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state) {
  const auto read = [&](Norm norm) {
    const bool plain = block.layer.residual == Residual::kPostNorm;
    return plain ? state.hidden : normalized(block, norm, state.hidden);
  };
  switch (stage) {
    case kAttentionIn:
      return {{read(kAttentionNorm)}};
    case kMlpIn:
      return {{read(kMlpNorm)}};
    default:
      return {{state.parts.front()}};
  }
}

void advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
             BlockState& state) {
  const Residual residual = block.layer.residual;
  const auto add = [&](Norm norm) {
    state.hidden = state.hidden + outputs[0];
    if (residual == Residual::kPostNorm) state.hidden = normalized(block, norm, state.hidden);
    state.parts.clear();
  };
  switch (stage) {
    case kAttentionIn:
      state.parts = {attended(block, outputs)};
      break;
    case kAttentionOut:
      if (residual == Residual::kParallel)
        state.parts = {at::Tensor(), outputs[0]};
      else
        add(kAttentionNorm);
      break;
    case kMlpIn:
      if (residual == Residual::kParallel) state.hidden = state.hidden + state.parts[1];
      state.parts = {activated(outputs[0], block.layer.activation)};
      break;
    default:
      add(kMlpNorm);
  }
}

}  // namespace four_stages

namespace two_stages {

std::vector<StatePart> parts() {
  using enum Dim;
  return {{"what attention mixed", {kQuery}}, {"hidden units of the MLP", {kIntermediate}}};
}

std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state) {
  if (stage == kOut) return {{state.parts[0]}, {state.parts[1]}};
  std::vector<StageInput> read = {{normalized(block, kAttentionNorm, state.hidden)}};
  if (block.tensors.size() > 2) read.push_back({normalized(block, kMlpNorm, state.hidden)});
  return read;
}

void advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
             BlockState& state) {
  if (stage == kIn) {
    state.parts = {attended(block, outputs.first(outputs.size() - 1)),
                   activated(outputs.back(), block.layer.activation)};
    return;
  }
  state.hidden = state.hidden + (outputs[0] + outputs[1]);
  state.parts.clear();
}

}  // namespace two_stages

namespace {

Family layer_norm_family() {
  Family family{};
  family.ignored = {".rotary_emb.inv_freq"};
  family.positions = rotary_positions;
  family.head_input = layer_norm_head_input;
  family.logits = layer_norm_logits;
  family.unrotatable = kLayerNormTurns;
  return family;
}

}  // namespace

Family four_stage_family() {
  Family family = layer_norm_family();
  family.stages = four_stages::kStages;
  family.parts = four_stages::parts();
  family.inputs = four_stages::inputs;
  family.advance = four_stages::advance;
  return family;
}

Family two_stage_family() {
  Family family = layer_norm_family();
  family.stages = two_stages::kStages;
  family.parts = two_stages::parts();
  family.inputs = two_stages::inputs;
  family.advance = two_stages::advance;
  return family;
}

LinearSpec linear_spec(const char* name, Dim out, Dim in, int stage, Presence bias, int input) {
  return {.name = name, .out = out, .in = in, .stage = stage, .bias = bias, .input = input};
}

std::vector<TensorSpec> layer_norm_specs(std::initializer_list<const char*> norms) {
  std::vector<TensorSpec> specs;
  for (const std::string norm : norms) {
    specs.push_back({norm + ".weight", {Dim::kHidden}});
    specs.push_back({norm + ".bias", {Dim::kHidden}});
  }
  return specs;
}

std::vector<TensorSpec> outer_specs(const char* embedding, const char* norm, const char* head) {
  std::vector<TensorSpec> specs = {{embedding, {Dim::kVocab, Dim::kHidden}}};
  const std::vector<TensorSpec> norms = layer_norm_specs({norm});
  specs.insert(specs.end(), norms.begin(), norms.end());
  specs.push_back(
      {.name = head, .shape = {Dim::kVocab, Dim::kHidden}, .presence = Presence::kUntied});
  return specs;
}

LayerConfig layer_norm_layer(const ModelConfig& config, int64_t index, QueryKeyValueLayout layout) {
  return {.attention = {.heads = config.heads,
                        .kv_heads = config.kv_heads,
                        .head_dim = config.head_dim,
                        .causal = !config.reads_images(),
                        .window = config.window_of(index)},
          .norm_epsilon = config.norm_epsilon,
          .activation = config.activation,
          .residual = config.residual,
          .layout = layout};
}

Positions rotary_positions(const ModelConfig& config, int64_t length, at::Device device,
                           at::ScalarType dtype) {
  return {make_rope_table({config.rotary_dim, config.rope_theta, config.rope_scaling}, length,
                          device, dtype)};
}

Positions no_positions(const ModelConfig&, int64_t, at::Device, at::ScalarType) {
  return {};
}

at::Tensor learned_positions(const RowLookup& rows, const char* table, const at::Tensor& ids,
                             const at::Tensor& positions, int64_t offset) {
  const at::Tensor at = positions.defined() ? positions : at::arange(ids.size(1), at::kLong);
  return rows(table, at + offset);
}

at::Tensor layer_norm_head_input(const ModelConfig& config, const Head& head,
                                 const at::Tensor& hidden) {
  return layer_norm(hidden, head.tensors[0], head.tensors[1], config.norm_epsilon);
}

at::Tensor layer_norm_logits(const ModelConfig& config, const Head& head,
                             const at::Tensor& hidden) {
  return head.linear.apply(layer_norm_head_input(config, head, hidden));
}

}  // namespace halftone
