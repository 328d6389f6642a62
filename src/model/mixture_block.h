// The gated block (gated_block.h) with a mixture of experts in the place of its MLP: in all layers
// or in some. Its stages are those of the gated block; what the experts read are inputs of their
// own, the tokens that each is sent, behind the input of the shared expert where there is one.
#pragma once

#include "model/gated_block.h"

namespace halftone {

// How a family names them, inside a block: experts are "PREFIXexperts.N.gate" and so on, the shared
// one "PREFIXshared_expert.gate_proj", its gate "PREFIXshared_expert_gate".
struct ExpertNames {
  const char* prefix;  // "mlp."
  const char *gate, *up, *down;
  const char* router = "gate";
};

// The table of a dense block with the mixture's tensors behind its own, and the mixture's linears
// in the place of the MLP's, in the layers that have one.   norm: of the MLP
BlockTable mixture_table(BlockTable dense, const ModelConfig& config, int64_t index,
                         const ExpertNames& names, const std::string& norm);
// The same of its config.   tensors: of the dense block's table
LayerConfig mixture_layer(LayerConfig dense, const ModelConfig& config, int64_t index, int tensors);
// A family like another one but for that; `block` and `layer` are its own.
Family mixture_family(Family dense);

// Keys that Qwen's mixtures have in common: sizes, which layers are dense.   experts: how many
void parse_qwen_mixture(const nlohmann::json& config, int64_t experts, ModelConfig& model);
// How many experts there are, where two keys say so: num_local_experts before num_experts.
int64_t expert_count(const nlohmann::json& config, int64_t otherwise);
// Errors: a token that would go to more experts than there are.
void require_experts(const Mixture& mixture);

}  // namespace halftone
