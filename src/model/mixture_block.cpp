#include "model/mixture_block.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/config_values.h"
#include "model/experts.h"

namespace halftone {
namespace {

using nlohmann::json;

enum Part { kOwn, kShared };  // of BlockState, between the stages of the MLP

// What the MLP of a dense block would read.   -> (batch, length, hidden)
at::Tensor mlp_input(const Block& block, const BlockState& state) {
  return gated_inputs(block, kGatedMlpIn, state).front().x;
}

at::Tensor times(const at::Tensor& x, const Block& block, int place) {
  return at::linear(x, block.tensors[static_cast<size_t>(place)]);
}

// -> (batch, length, experts)
at::Tensor router_scores(const at::Tensor& x, const Block& block) {
  const at::Tensor scores = times(x, block, block.layer.routing.router);
  const int bias = block.layer.routing.router_bias;
  return bias < 0 ? scores : scores + block.tensors[static_cast<size_t>(bias)];
}

at::Tensor gate_product(const LayerConfig& layer, const at::Tensor& gate, const at::Tensor& up) {
  return layer.gate_clamp.limit > 0 ? clamped_gate(gate, up, layer.gate_clamp)
                                    : gated(gate, up, layer.activation);
}

ExpertTokens tokens_of(const Block& block, const BlockState& state) {
  return {state.experts, block.layer.routing.experts};
}

std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state) {
  const Routing& routing = block.layer.routing;
  if (routing.experts == 0 || stage < kGatedMlpIn) return gated_inputs(block, stage, state);
  const ExpertTokens tokens = tokens_of(block, state);
  const bool first = stage == kGatedMlpIn;
  const at::Tensor x = first ? mlp_input(block, state) : state.parts[kOwn];
  std::vector<StageInput> all;
  if (routing.shared) all.push_back({first ? x : state.parts[kShared]});
  const std::vector<at::Tensor> gathered = first ? tokens.gather(x) : tokens.gather_own(x);
  const std::vector<at::Tensor> rows = tokens.rows();
  for (size_t expert = 0; expert < gathered.size(); ++expert)
    all.push_back({gathered[expert], rows[expert]});
  return all;
}

// outputs: gate and up of the shared expert, if any, and of each other one
void multiply_gates(const Block& block, std::span<const at::Tensor> outputs, BlockState& state) {
  const LayerConfig& layer = block.layer;
  state.parts.resize(layer.routing.shared ? 2 : 1);
  if (layer.routing.shared) {
    state.parts[kShared] = gate_product(layer, outputs[0], outputs[1]);
    outputs = outputs.subspan(2);
  }
  std::vector<at::Tensor> gates, ups;
  for (size_t i = 0; i < outputs.size(); i += 2) {
    gates.push_back(outputs[i]);
    ups.push_back(outputs[i + 1]);
  }
  const at::Tensor products = gate_product(layer, at::cat(gates), at::cat(ups));
  state.parts[kOwn] = tokens_of(block, state).give_back(products).flatten(2);
}

// What the experts say of each token, weighted.   outputs: of the shared expert, if any, and of
// each other one
void add_experts(const Block& block, std::span<const at::Tensor> outputs, BlockState& state) {
  const Routing& routing = block.layer.routing;
  const at::Tensor x = mlp_input(block, state);
  const at::Tensor weights =
      expert_weights(router_scores(x, block), state.experts, routing.renormalized);
  const std::vector<at::Tensor> own(outputs.begin() + (routing.shared ? 1 : 0), outputs.end());
  const at::Tensor given = tokens_of(block, state).give_back(at::cat(own));
  at::Tensor mixed = (given * weights.unsqueeze(-1)).sum(2);
  if (routing.shared)
    mixed = mixed + at::sigmoid(times(x, block, routing.shared_gate)) * outputs[0];
  state.hidden = state.hidden + mixed;
  state.parts.clear();
  state.experts = at::Tensor();
}

void advance(const Block& block, int stage, std::span<const at::Tensor> outputs,
             BlockState& state) {
  const Routing& routing = block.layer.routing;
  if (routing.experts > 0 && stage == kGatedMlpIn) return multiply_gates(block, outputs, state);
  if (routing.experts > 0 && stage == kGatedMlpOut) return add_experts(block, outputs, state);
  gated_advance(block, stage, outputs, state);
  if (routing.experts > 0 && stage == kGatedAttentionOut)
    state.experts =
        chosen_experts(router_scores(mlp_input(block, state).detach(), block), routing.per_token);
}

std::vector<bool> dense_layers(const json& config, int64_t layers) {
  const int64_t step = positive_or(config, "decoder_sparse_step", 1);
  std::vector<bool> dense;
  for (int64_t i = 0; i < layers; ++i) dense.push_back((i + 1) % step != 0);
  const char* key = "mlp_only_layers";
  if (!given(config, key)) return dense;
  const json& only = config.at(key);
  const bool numbers =
      only.is_array() && std::all_of(only.begin(), only.end(),
                                     [](const json& layer) { return layer.is_number_integer(); });
  require(numbers, "config.json: {}: expected a list of layers, found {}", key, shown(only));
  for (const json& layer : only)
    if (const int64_t i = layer.get<int64_t>(); i >= 0 && i < layers)
      dense[static_cast<size_t>(i)] = true;
  return dense;
}

}  // namespace

BlockTable mixture_table(BlockTable table, const ModelConfig& config, int64_t index,
                         const ExpertNames& names, const std::string& norm) {
  using enum Dim;
  // online rotations are one matrix for all down projections, and these differ in width
  for (LinearSpec& linear : table.linears)
    if (linear.rotation == Rotation::kProductWriter) linear.rotation = Rotation::kWriter;
  if (!config.is_mixture(index)) return table;
  std::erase_if(table.linears,
                [](const LinearSpec& linear) { return linear.stage >= kGatedMlpIn; });
  const std::string prefix = names.prefix;
  const auto reader = [&](const std::string& name, Dim rows) {
    table.tensors.push_back(
        {prefix + name + ".weight", {rows, kHidden}, Rotation::kReader, Presence::kAlways, norm});
  };
  const bool shared = config.mixture.shared > 0;
  const Presence bias = config.mixture.biased ? Presence::kAlways : Presence::kNever;
  reader(names.router, kExperts);
  if (config.mixture.biased) table.tensors.push_back({prefix + names.router + ".bias", {kExperts}});
  if (shared) reader("shared_expert_gate", kOne);
  const auto add = [&](const std::string& name, int stage, int expert) {
    const Dim wide = expert < 0 ? kSharedIntermediate : kExpertIntermediate;
    LinearSpec linear{prefix + name, wide, kHidden, stage, Rotation::kReader, norm};
    if (stage == kGatedMlpOut) linear = {prefix + name, kHidden, wide, stage, Rotation::kWriter};
    linear.input = expert + (shared ? 1 : 0);
    linear.expert = expert;
    linear.bias = bias;
    table.linears.push_back(std::move(linear));
  };
  const auto own = [](int expert, const char* name) {
    return fmt::format("experts.{}.{}", expert, name);
  };
  const auto experts = static_cast<int>(config.mixture.experts);
  if (shared) {
    add("shared_expert.gate_proj", kGatedMlpIn, -1);
    add("shared_expert.up_proj", kGatedMlpIn, -1);
  }
  for (int expert = 0; expert < experts; ++expert) {
    add(own(expert, names.gate), kGatedMlpIn, expert);
    add(own(expert, names.up), kGatedMlpIn, expert);
  }
  if (shared) add("shared_expert.down_proj", kGatedMlpOut, -1);
  for (int expert = 0; expert < experts; ++expert)
    add(own(expert, names.down), kGatedMlpOut, expert);
  return table;
}

LayerConfig mixture_layer(LayerConfig layer, const ModelConfig& config, int64_t index,
                          int tensors) {
  if (!config.is_mixture(index)) return layer;
  const Mixture& mixture = config.mixture;
  const bool shared = mixture.shared > 0;
  layer.routing = {.experts = mixture.experts,
                   .per_token = mixture.per_token,
                   .renormalized = mixture.renormalized,
                   .shared = shared,
                   .router = tensors,
                   .router_bias = mixture.biased ? tensors + 1 : -1,
                   .shared_gate = shared ? tensors + (mixture.biased ? 2 : 1) : -1};
  return layer;
}

Family mixture_family(Family family) {
  using enum Dim;
  family.parts = {{"input of the next stage", {kQuery, kIntermediate, kChosenIntermediate}},
                  {"product of the shared expert", {kSharedIntermediate}}};
  family.inputs = inputs;
  family.advance = advance;
  return family;
}

int64_t expert_count(const json& config, int64_t otherwise) {
  return positive_or(config, "num_local_experts", positive_or(config, "num_experts", otherwise));
}

void require_experts(const Mixture& mixture) {
  require(mixture.per_token <= mixture.experts,
          "config.json: num_experts_per_tok {}: there are {} experts", mixture.per_token,
          mixture.experts);
}

void parse_qwen_mixture(const json& config, int64_t experts, ModelConfig& model) {
  Mixture& mixture = model.mixture;
  mixture.experts = experts;
  mixture.per_token = positive(config, "num_experts_per_tok");
  mixture.intermediate = positive(config, "moe_intermediate_size");
  mixture.renormalized = flag_or(config, "norm_topk_prob", false);
  mixture.dense = dense_layers(config, model.layers);
  require_experts(mixture);
}

}  // namespace halftone
