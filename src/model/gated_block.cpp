#include "model/gated_block.h"

namespace halftone {
namespace {

// The norm at `place`, or x where there is none.
at::Tensor normalized(const Block& block, int place, const at::Tensor& x) {
  if (place < 0) return x;
  const LayerConfig& layer = block.layer;
  return rms_norm_of_parts(x, block.tensors[static_cast<size_t>(place)], layer.norm_epsilon,
                           layer.norm_offset);
}

RopeTable rope_of(const Block& block) {
  switch (block.layer.rope) {
    case RopeKind::kNone:
      return {};
    case RopeKind::kOwn:
      return block.positions->rope;
    case RopeKind::kLocal:
      return block.positions->local_rope;
  }
  return {};
}

at::Tensor attention(const Block& block, std::span<const at::Tensor> outputs) {
  AttentionOptions options = block.layer.attention;
  if (const int place = block.layer.sinks; place >= 0)
    options.sinks = &block.tensors[static_cast<size_t>(place)];
  const QueryKeyValue parts = outputs.size() > 1 ? QueryKeyValue{outputs[0], outputs[1], outputs[2]}
                                                 : split_whole(outputs[0], options);
  const NormPlaces& norms = block.layer.norms;
  return attend(normalized(block, norms.query, parts.q), normalized(block, norms.key, parts.k),
                parts.v, rope_of(block), options);
}

// outputs: gate and up, or one below the other of one linear
at::Tensor product(const Block& block, std::span<const at::Tensor> outputs) {
  const auto half = [&](int64_t index) {
    if (outputs.size() > 1) return outputs[static_cast<size_t>(index)];
    const int64_t width = outputs[0].size(-1) / 2;
    return outputs[0].narrow(-1, index * width, width).contiguous();
  };
  return block.linears.back().prepared(gated(half(0), half(1), block.layer.activation));
}

at::Tensor scaled(const at::Tensor& x, double factor) {
  return factor == 1 ? x : x * factor;
}

}  // namespace

BlockTable without_mlp_biases(BlockTable table) {
  for (LinearSpec& linear : table.linears)
    if (linear.name.starts_with("mlp.")) linear.bias = Presence::kNever;
  return table;
}

BlockTable without_rotation(BlockTable table) {
  for (TensorSpec& tensor : table.tensors) tensor.rotation = Rotation::kNone;
  for (LinearSpec& linear : table.linears) linear.rotation = Rotation::kNone;
  return table;
}

LayerConfig gated_layer(const ModelConfig& config, int64_t index) {
  const int64_t window = config.window_of(index);
  const bool local = window > 0 && config.local_rope_theta > 0;
  return {.attention = {.heads = config.heads,
                        .kv_heads = config.kv_heads,
                        .head_dim = config.head_dim,
                        .window = window,
                        .scale = config.attention_scale,
                        .cap = config.attention_cap},
          .norm_epsilon = config.norm_epsilon,
          .norm_offset = config.norm_offset,
          .residual_scale = config.residual_scale,
          .activation = config.activation,
          .gate_clamp = config.gate_clamp,
          .rope = !config.is_rotary(index) ? RopeKind::kNone
                  : local                  ? RopeKind::kLocal
                                           : RopeKind::kOwn};
}

Positions gated_positions(const ModelConfig& config, int64_t length, at::Device device,
                          at::ScalarType dtype) {
  const auto table = [&](double theta, const RopeScaling& scaling) {
    return make_rope_table({config.rotary_dim, theta, scaling}, length, device, dtype);
  };
  Positions positions{table(config.rope_theta, config.rope_scaling)};
  if (config.local_rope_theta > 0) positions.local_rope = table(config.local_rope_theta, {});
  return positions;
}

at::Tensor gated_embed(const ModelConfig& config, const RowLookup& rows, const at::Tensor& ids,
                       const at::Tensor&) {
  return scaled(rows("model.embed_tokens.weight", ids), config.embedding_scale);
}

std::vector<StageInput> gated_inputs(const Block& block, int stage, const BlockState& state) {
  switch (stage) {
    case kGatedAttentionIn:
      return {{normalized(block, block.layer.norms.attention_in, state.hidden)}};
    case kGatedMlpIn:
      return {{normalized(block, block.layer.norms.mlp_in, state.hidden)}};
    default:
      return {{state.parts.front()}};
  }
}

void gated_advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
                   BlockState& state) {
  const NormPlaces& norms = block.layer.norms;
  const auto add = [&](int norm) {
    state.hidden =
        state.hidden + scaled(normalized(block, norm, outputs[0]), block.layer.residual_scale);
    state.parts.clear();
  };
  switch (stage) {
    case kGatedAttentionIn:
      state.parts = {attention(block, outputs)};
      break;
    case kGatedAttentionOut:
      add(norms.attention_out);
      break;
    case kGatedMlpIn:
      state.parts = {product(block, outputs)};
      break;
    default:
      add(norms.mlp_out);
  }
}

at::Tensor gated_head_input(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  return rms_norm(hidden, head.tensors.front(), config.norm_epsilon, config.norm_offset);
}

at::Tensor gated_logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  const at::Tensor logits = head.linear.apply(gated_head_input(config, head, hidden));
  return soft_capped(config.logit_divisor == 1 ? logits : logits / config.logit_divisor,
                     config.logit_cap);
}

}  // namespace halftone
