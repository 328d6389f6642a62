// The blocks of transformers without RMS norms and gates: LayerNorms with biases, an MLP of one
// activation between two linears. Families list their tables in the order that is said here and
// take these functions for their own.
//
// In four stages (OPT, GPT-2, StarCoder2, GPT-NeoX): what attention reads, its output, what the MLP
// reads, its output. In two (Phi, Falcon), where attention and MLP read one norm, so that their
// linears share an input: all that reads, all that writes.
//
//   tensors: weight and bias of the norm for attention, of the norm for the MLP where it has its
//   own linears: queries, keys, values (or one of all, LayerConfig::layout); attention's output;
//   into
//            the MLP; out of it. In two stages: queries ..., into the MLP; attention's output, out.
#pragma once

#include <initializer_list>

#include "model/family.h"

namespace halftone {

namespace four_stages {
enum Stage { kAttentionIn, kAttentionOut, kMlpIn, kMlpOut, kStages };
std::vector<StatePart> parts();
// LayerConfig::residual of any kind.
std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state);
void advance(const Block& block, int stage, std::span<const at::Tensor> outputs, BlockState& state);
}  // namespace four_stages

namespace two_stages {
enum Stage { kIn, kOut, kStages };
std::vector<StatePart> parts();
// The MLP's norm is the second input of the first stage where it has its own; of the second stage
// attention's is the first, the MLP's the second.
std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state);
void advance(const Block& block, int stage, std::span<const at::Tensor> outputs, BlockState& state);
}  // namespace two_stages

// A family of such blocks with rotary positions and the final norm before the head, to be filled
// in: name, architectures, parse_config, layer, block_prefix, embedding, head, outer, block, embed.
Family four_stage_family();
Family two_stage_family();

// Tables. A linear that nothing rotates; weight and bias of LayerNorms, as wide as the stream;
// embedding, final norm and head of a whole model.
LinearSpec linear_spec(const char* name, Dim out, Dim in, int stage, Presence bias, int input = 0);
std::vector<TensorSpec> layer_norm_specs(std::initializer_list<const char*> norms);
std::vector<TensorSpec> outer_specs(const char* embedding, const char* norm, const char* head);

// Of all layers alike but for the window.
LayerConfig layer_norm_layer(const ModelConfig& config, int64_t index, QueryKeyValueLayout layout);

Positions rotary_positions(const ModelConfig& config, int64_t length, at::Device device,
                           at::ScalarType dtype);
// Of families whose positions are in the embedding.
Positions no_positions(const ModelConfig& config, int64_t length, at::Device device,
                       at::ScalarType dtype);

// Of a table of positions the rows of those that ids, (batch, length), are at, the first one at row
// `offset`.   positions: as Family::embed takes them -> (length, hidden)
at::Tensor learned_positions(const RowLookup& rows, const char* table, const at::Tensor& ids,
                             const at::Tensor& positions, int64_t offset = 0);

// The head's tensors begin with weight and bias of the final norm.
at::Tensor layer_norm_head_input(const ModelConfig& config, const Head& head,
                                 const at::Tensor& hidden);
at::Tensor layer_norm_logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden);

// Family::unrotatable.
inline constexpr const char* kLayerNormTurns =
    "LayerNorm subtracts a mean, which a rotation does not keep";

}  // namespace halftone
