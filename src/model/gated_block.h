// The block of decoders since Llama: attention and a gated product, each added to the residual
// stream, with norms before them, behind them or both. What differs from family to family is
// LayerConfig's, ModelConfig's and the table's: where norms stand, q, k, v and gate, up in one
// linear or in several, scales and caps.
#pragma once

#include "model/family.h"

namespace halftone {

// Stages of every such block. The block's last linear is the down projection.
enum GatedStage { kGatedAttentionIn, kGatedAttentionOut, kGatedMlpIn, kGatedMlpOut, kGatedStages };

// Of classes that have no such biases, whatever is stored.
BlockTable without_mlp_biases(BlockTable table);
// Of a family whose residual stream cannot be rotated.
BlockTable without_rotation(BlockTable table);

// All but the norms, from the config.
LayerConfig gated_layer(const ModelConfig& config, int64_t index);
Positions gated_positions(const ModelConfig& config, int64_t length, at::Device device,
                          at::ScalarType dtype);
// Rows of model.embed_tokens, scaled.
at::Tensor gated_embed(const ModelConfig& config, const RowLookup& rows, const at::Tensor& ids,
                       const at::Tensor& positions);
std::vector<StageInput> gated_inputs(const Block& block, int stage, const BlockState& state);
void gated_advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
                   BlockState& state);
// One norm and the head, divided and capped.
at::Tensor gated_head_input(const ModelConfig& config, const Head& head, const at::Tensor& hidden);
at::Tensor gated_logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden);

}  // namespace halftone
