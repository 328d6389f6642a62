// Config keys and tables of the families that fill in the gated block, as transformers 5.24 reads
// them (their forward passes: zoo_test.cpp, forward_test.cpp).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/family.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using nlohmann::json;

ModelConfig parsed(const char* architecture, const json& changes = json::object()) {
  json config = {
      {"architectures", {architecture}}, {"num_hidden_layers", 6}, {"hidden_size", 256},
      {"intermediate_size", 96},         {"vocab_size", 50},       {"num_attention_heads", 32}};
  config.update(changes);
  return find_family(architecture).parse_config(config);
}

std::string refusal(const char* architecture, const json& changes) {
  return message_of([&] { (void)parsed(architecture, changes); });
}

std::vector<int64_t> windows_of(const ModelConfig& config) {
  std::vector<int64_t> windows;
  for (int64_t i = 0; i < config.layers; ++i) windows.push_back(config.window_of(i));
  return windows;
}

using Windows = std::vector<int64_t>;

TEST(Qwen3Config, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig config = parsed("Qwen3ForCausalLM");
  EXPECT_EQ(config.kv_heads, 32);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.context, 32768);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_FALSE(config.tied_embeddings);
}

TEST(Qwen3Config, HasQwen2sWindow) {
  EXPECT_EQ(windows_of(parsed(
                "Qwen3ForCausalLM",
                {{"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 4}})),
            (Windows{0, 0, 0, 0, 8, 8}));
}

TEST(Qwen3Family, NormalizesEachHeadAndHasBiasesOfAttentionAlone) {
  const ModelConfig config =
      parsed("Qwen3ForCausalLM", {{"attention_bias", true}, {"mlp_bias", true}});
  const BlockTable table = find_family("Qwen3ForCausalLM").block(config, 0);
  EXPECT_EQ(table.tensors.back().name, "self_attn.k_norm.weight");
  EXPECT_EQ(size_of(table.tensors.back().shape[0], config), 128);
  std::vector<std::string> biased;
  for (const LinearSpec& linear : table.linears)
    if (is_present(linear.bias, config)) biased.push_back(linear.name);
  EXPECT_EQ(biased, (std::vector<std::string>{"self_attn.q_proj", "self_attn.k_proj",
                                              "self_attn.v_proj", "self_attn.o_proj"}));
}

TEST(GraniteConfig, HasFourMultipliersThatAreOneWhereAbsent) {
  const ModelConfig plain = parsed("GraniteForCausalLM");
  EXPECT_EQ(plain.embedding_scale, 1);
  EXPECT_EQ(plain.residual_scale, 1);
  EXPECT_EQ(plain.attention_scale, 1);  // not head_dim^-1/2
  EXPECT_EQ(plain.logit_divisor, 1);
  const ModelConfig config = parsed("GraniteForCausalLM", {{"embedding_multiplier", 12},
                                                           {"residual_multiplier", 0.5},
                                                           {"attention_multiplier", 0.25},
                                                           {"logits_scaling", 4}});
  EXPECT_EQ(config.embedding_scale, 12);
  EXPECT_EQ(config.residual_scale, 0.5);
  EXPECT_EQ(config.attention_scale, 0.25);
  EXPECT_EQ(config.logit_divisor, 4);
  EXPECT_NE(refusal("GraniteForCausalLM", {{"logits_scaling", 0}}).find("logits_scaling"),
            std::string::npos);
}

TEST(Olmo2Family, NormalizesBehindAttentionAndMlpAndAllHeadsTogether) {
  const ModelConfig config = parsed("Olmo2ForCausalLM", {{"num_key_value_heads", 8}});
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  const Family& family = find_family("Olmo2ForCausalLM");
  const NormPlaces norms = family.layer(config, 0).norms;
  EXPECT_EQ(norms.attention_in, -1);
  EXPECT_EQ(norms.mlp_in, -1);
  const BlockTable table = family.block(config, 0);
  const auto width_at = [&](int place) {
    return size_of(table.tensors[static_cast<size_t>(place)].shape[0], config);
  };
  EXPECT_EQ(width_at(norms.attention_out), 256);
  EXPECT_EQ(width_at(norms.query), 256);
  EXPECT_EQ(width_at(norms.key), 64);
}

TEST(Phi3Config, HasItsWindowInAllLayersOrNone) {
  EXPECT_EQ(windows_of(parsed("Phi3ForCausalLM")), Windows(6, 0));
  EXPECT_EQ(windows_of(parsed("Phi3ForCausalLM", {{"sliding_window", nullptr}})), Windows(6, 0));
  EXPECT_EQ(windows_of(parsed("Phi3ForCausalLM", {{"sliding_window", 7}})), Windows(6, 7));
}

TEST(Phi3Config, LongRopeFollowsTheContext) {
  const json list = {1, 2, 3, 4};  // heads of 8
  const json keys = {{"type", "su"}, {"short_factor", list}, {"long_factor", list}};
  const json changes = {{"rope_scaling", keys},
                        {"max_position_embeddings", 64},
                        {"original_max_position_embeddings", 16}};
  const RopeScaling scaling = parsed("Phi3ForCausalLM", changes).rope_scaling;
  EXPECT_EQ(scaling.kind, RopeScaling::Kind::kLong);
  EXPECT_EQ(scaling.original_context, 16);
  EXPECT_EQ(scaling.factor, 4);
  EXPECT_DOUBLE_EQ(scaling.amplitude, std::sqrt(1.5));  // log 4 / log 16
  EXPECT_EQ(scaling.long_factors, (std::vector<double>{1, 2, 3, 4}));
  json given = changes;
  given["rope_scaling"]["attention_factor"] = 2;
  EXPECT_EQ(parsed("Phi3ForCausalLM", given).rope_scaling.amplitude, 2);
}

// Heads of 8, of which 6 numbers rotate.
TEST(Phi3Config, APartOfAHeadRotatesInEverySpelling) {
  const json lists = {{"short_factor", {1, 2, 3}}, {"long_factor", {4, 5, 6}}};
  const auto with = [](json object, const json& more) {
    object.update(more);
    return object;
  };
  const json old_object = with(lists, {{"type", "longrope"}});
  const json new_object =
      with(lists, {{"rope_type", "longrope"}, {"partial_rotary_factor", 0.75}, {"rope_theta", 7}});
  for (const json& changes :
       {json{{"partial_rotary_factor", 0.75}, {"rope_theta", 7}, {"rope_scaling", old_object}},
        json{{"rope_parameters", new_object}},
        json{{"partial_rotary_factor", 0.5}, {"rope_parameters", new_object}}}) {
    const ModelConfig config = parsed("Phi3ForCausalLM", changes);
    EXPECT_EQ(config.rotary_dim, 6) << changes;
    EXPECT_EQ(config.rope_theta, 7) << changes;
    EXPECT_EQ(config.rope_scaling.short_factors, (std::vector<double>{1, 2, 3})) << changes;
    EXPECT_EQ(config.rope_scaling.long_factors, (std::vector<double>{4, 5, 6})) << changes;
  }
  EXPECT_EQ(parsed("Phi3ForCausalLM", {{"partial_rotary_factor", 0.5}}).rotary_dim, 4);
  EXPECT_EQ(parsed("Phi3ForCausalLM").rotary_dim, 8);
}

TEST(Phi3Config, AFactorIsOfTwoNumbersThatRotate) {
  const json list = {1, 2, 3, 4};
  const json rope = {{"type", "longrope"}, {"short_factor", list}, {"long_factor", list}};
  EXPECT_NE(
      refusal("Phi3ForCausalLM", {{"partial_rotary_factor", 0.75}, {"rope_scaling", rope}})
          .find("short_factor: expected a list of 3 numbers, one for two of a head's that rotate"),
      std::string::npos);
}

TEST(Phi3Config, RefusesWhatItDoesNotComputeByName) {
  const json rope = {{"type", "longrope"}, {"short_factor", {1, 2, 3, 4}}, {"long_factor", {1}}};
  EXPECT_NE(refusal("Phi3ForCausalLM", {{"rope_scaling", rope}}).find("long_factor"),
            std::string::npos);
  EXPECT_NE(refusal("Phi3ForCausalLM", {{"rope_scaling", {{"type", "dynamic"}}}}).find("dynamic"),
            std::string::npos);
  EXPECT_NE(refusal("Phi3ForCausalLM", {{"hidden_act", "gelu"}}).find("hidden_act"),
            std::string::npos);
}

TEST(Phi3Family, HoldsQueriesKeysAndValuesInOneLinear) {
  const ModelConfig config = parsed("Phi3ForCausalLM", {{"num_key_value_heads", 8}});
  const BlockTable table = find_family("Phi3ForCausalLM").block(config, 0);
  ASSERT_EQ(table.linears.size(), 4u);
  EXPECT_EQ(size_of(table.linears[0].out, config), 256 + 2 * 64);
  EXPECT_EQ(size_of(table.linears[2].out, config), 2 * 96);
}

TEST(SmolLM3Config, EveryFourthLayerTurnsNothingUnlessAListSaysOtherwise) {
  using Flags = std::vector<bool>;
  EXPECT_EQ(parsed("SmolLM3ForCausalLM").rotary, (Flags{true, true, true, false, true, true}));
  EXPECT_EQ(parsed("SmolLM3ForCausalLM", {{"no_rope_layer_interval", 2}}).rotary,
            (Flags{true, false, true, false, true, false}));
  EXPECT_EQ(parsed("SmolLM3ForCausalLM", {{"no_rope_layers", {0, 1, 1, 1, 0, 1, 1}}}).rotary,
            (Flags{false, true, true, true, false, true}));
  EXPECT_NE(refusal("SmolLM3ForCausalLM", {{"no_rope_layers", {1, 1}}}).find("list of 6"),
            std::string::npos);
}

TEST(SmolLM3Config, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig config = parsed("SmolLM3ForCausalLM");
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.rope_theta, 2e6);
  EXPECT_EQ(config.context, 32768);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(windows_of(config), Windows(6, 0));
  EXPECT_EQ(windows_of(parsed("SmolLM3ForCausalLM",
                              {{"use_sliding_window", true}, {"sliding_window", 9}})),
            (Windows{0, 0, 0, 9, 0, 0}));
}

TEST(Gemma2Config, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig config = parsed("Gemma2ForCausalLM");
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.attention_scale, 1.0 / 16);
  EXPECT_EQ(config.attention_cap, 50);
  EXPECT_EQ(config.logit_cap, 30);
  EXPECT_EQ(config.embedding_scale, 16);
  EXPECT_EQ(config.norm_offset, 1);
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(windows_of(config), (Windows{4096, 0, 4096, 0, 4096, 0}));
}

TEST(Gemma2Config, CapsThatAreNullAreNone) {
  const ModelConfig config = parsed("Gemma2ForCausalLM", {{"attn_logit_softcapping", nullptr},
                                                          {"final_logit_softcapping", nullptr}});
  EXPECT_EQ(config.attention_cap, 0);
  EXPECT_EQ(config.logit_cap, 0);
}

TEST(GemmaConfig, RefusesWhatItDoesNotComputeByName) {
  for (const char* architecture : {"Gemma2ForCausalLM", "Gemma3ForCausalLM"}) {
    EXPECT_NE(refusal(architecture, {{"use_bidirectional_attention", true}})
                  .find("use_bidirectional_attention"),
              std::string::npos);
    EXPECT_NE(refusal(architecture, {{"hidden_activation", "mish"}}).find("mish"),
              std::string::npos);
    EXPECT_NE(refusal(architecture, {{"sliding_window", nullptr}}).find("sliding_window"),
              std::string::npos);
  }
  EXPECT_NE(
      refusal("Gemma3ForCausalLM", {{"attn_logit_softcapping", 50}}).find("attn_logit_softcapping"),
      std::string::npos);
}

TEST(Gemma3Config, FiveLayersOfSixHaveAWindowUnlessTheConfigSaysOtherwise) {
  EXPECT_EQ(windows_of(parsed("Gemma3ForCausalLM")), (Windows{4096, 4096, 4096, 4096, 4096, 0}));
  EXPECT_EQ(windows_of(parsed("Gemma3ForCausalLM",
                              {{"sliding_window", 5}, {"sliding_window_pattern", 2}})),
            (Windows{5, 0, 5, 0, 5, 0}));
  json types = json(6, "full_attention");
  types[1] = "sliding_attention";
  EXPECT_EQ(windows_of(parsed("Gemma3ForCausalLM", {{"layer_types", types}})),
            (Windows{0, 4096, 0, 0, 0, 0}));
}

TEST(Gemma3Config, LayersWithAWindowHaveARotaryBaseOfTheirOwn) {
  const ModelConfig plain = parsed("Gemma3ForCausalLM");
  EXPECT_EQ(plain.rope_theta, 1e6);
  EXPECT_EQ(plain.local_rope_theta, 1e4);
  const ModelConfig old =
      parsed("Gemma3ForCausalLM", {{"rope_theta", 3e5},
                                   {"rope_local_base_freq", 2e3},
                                   {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8}}}});
  EXPECT_EQ(old.rope_theta, 3e5);
  EXPECT_EQ(old.local_rope_theta, 2e3);
  EXPECT_EQ(old.rope_scaling.factor, 8);
  const ModelConfig current =
      parsed("Gemma3ForCausalLM",
             {{"rope_parameters",
               {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 3e5}}},
                {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 2e3}}}}}});
  EXPECT_EQ(current.rope_theta, 3e5);
  EXPECT_EQ(current.local_rope_theta, 2e3);
  EXPECT_EQ(current.rope_scaling.factor, 8);
  EXPECT_NE(refusal("Gemma3ForCausalLM", {{"rope_parameters", {{"rope_theta", 1e4}}}})
                .find("sliding_attention"),
            std::string::npos);
  const json scaled = {{"rope_type", "linear"}, {"factor", 2}};
  EXPECT_NE(refusal("Gemma3ForCausalLM", {{"rope_parameters", {{"sliding_attention", scaled}}}})
                .find("linear"),
            std::string::npos);
}

constexpr const char* kMixtures[] = {"MixtralForCausalLM", "Qwen2MoeForCausalLM",
                                     "Qwen3MoeForCausalLM"};

TEST(MixtureConfig, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig mixtral = parsed("MixtralForCausalLM");
  EXPECT_EQ(mixtral.kv_heads, 8);
  EXPECT_EQ(mixtral.context, 131072);
  EXPECT_EQ(mixtral.rope_theta, 1e6);
  EXPECT_EQ(mixtral.mixture.experts, 8);
  EXPECT_EQ(mixtral.mixture.per_token, 2);
  EXPECT_EQ(mixtral.mixture.intermediate, 96);  // intermediate_size
  EXPECT_TRUE(mixtral.mixture.renormalized);
  const ModelConfig qwen2 = parsed("Qwen2MoeForCausalLM");
  EXPECT_EQ(qwen2.kv_heads, 16);
  EXPECT_EQ(qwen2.mixture.experts, 60);
  EXPECT_EQ(qwen2.mixture.per_token, 4);
  EXPECT_EQ(qwen2.mixture.intermediate, 1408);
  EXPECT_EQ(qwen2.mixture.shared, 5632);
  EXPECT_FALSE(qwen2.mixture.renormalized);
  const ModelConfig qwen3 = parsed("Qwen3MoeForCausalLM");
  EXPECT_EQ(qwen3.kv_heads, 4);
  EXPECT_EQ(qwen3.mixture.experts, 128);
  EXPECT_EQ(qwen3.mixture.per_token, 8);
  EXPECT_EQ(qwen3.mixture.intermediate, 768);
  EXPECT_EQ(qwen3.mixture.shared, 0);
}

TEST(MixtureConfig, TwoKeysSayHowManyExpertsThereAre) {
  const json one = {{"num_experts", 9}}, other = {{"num_local_experts", 12}};
  const json both = {{"num_experts", 9}, {"num_local_experts", 12}};
  for (const char* name : {"MixtralForCausalLM", "Qwen3MoeForCausalLM"}) {
    EXPECT_EQ(parsed(name, one).mixture.experts, 9) << name;
    EXPECT_EQ(parsed(name, other).mixture.experts, 12) << name;
    EXPECT_EQ(parsed(name, both).mixture.experts, 12) << name;
  }
  EXPECT_EQ(parsed("Qwen2MoeForCausalLM", both).mixture.experts, 9);
}

TEST(MixtureConfig, RefusesMoreExpertsATokenThanThereAre) {
  for (const char* name : kMixtures)
    EXPECT_NE(
        refusal(name, {{"num_local_experts", 3}, {"num_experts", 3}, {"num_experts_per_tok", 4}})
            .find("num_experts_per_tok 4: there are 3 experts"),
        std::string::npos);
}

TEST(MixtureConfig, LayersAreDenseByTheirStepOrByAList) {
  const auto mixtures = [](const json& changes) {
    const ModelConfig config = parsed("Qwen3MoeForCausalLM", changes);
    std::vector<bool> all;
    for (int64_t i = 0; i < config.layers; ++i) all.push_back(config.is_mixture(i));
    return all;
  };
  using Flags = std::vector<bool>;
  EXPECT_EQ(mixtures(json::object()), Flags(6, true));
  EXPECT_EQ(mixtures({{"decoder_sparse_step", 2}}), (Flags{false, true, false, true, false, true}));
  EXPECT_EQ(mixtures({{"mlp_only_layers", {0, 5}}}), (Flags{false, true, true, true, true, false}));
  EXPECT_EQ(mixtures({{"decoder_sparse_step", 3}, {"mlp_only_layers", {2}}}),
            (Flags{false, false, false, false, false, true}));
  EXPECT_NE(refusal("Qwen3MoeForCausalLM", {{"mlp_only_layers", "0"}}).find("mlp_only_layers"),
            std::string::npos);
}

TEST(GptOssConfig, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig config = parsed("GptOssForCausalLM");
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.context, 131072);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_EQ(config.norm_epsilon, 1e-5);
  EXPECT_EQ(config.rope_theta, 150000);
  EXPECT_EQ(windows_of(config), (Windows{128, 0, 128, 0, 128, 0}));
  EXPECT_EQ(config.gate_clamp.slope, 1.702);
  EXPECT_EQ(config.gate_clamp.limit, 7);
  EXPECT_EQ(config.mixture.experts, 128);
  EXPECT_EQ(config.mixture.per_token, 4);
  EXPECT_EQ(config.mixture.intermediate, 96);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kYarn);
  EXPECT_EQ(config.rope_scaling.factor, 32);
  EXPECT_EQ(config.rope_scaling.original_context, 4096);
  EXPECT_FALSE(config.rope_scaling.whole_pairs);
  EXPECT_DOUBLE_EQ(config.rope_scaling.amplitude, 0.1 * std::log(32.0) + 1);
}

TEST(GptOssConfig, YarnIsReadInBothSpellings) {
  const auto scaling = [](const json& changes) {
    return parsed("GptOssForCausalLM", changes).rope_scaling;
  };
  const json keys = {{"rope_type", "yarn"}, {"factor", 8}, {"beta_fast", 20}, {"beta_slow", 2}};
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const RopeScaling found = scaling({{name, keys}, {"max_position_embeddings", 64}});
    EXPECT_EQ(found.kind, RopeScaling::Kind::kYarn);
    EXPECT_EQ(found.factor, 8);
    EXPECT_EQ(found.fast_turns, 20);
    EXPECT_EQ(found.slow_turns, 2);
    EXPECT_EQ(found.original_context, 64);
    EXPECT_TRUE(found.whole_pairs);  // where an object is there and does not say otherwise
  }
  json more = keys;
  more.update({{"mscale", 0.7}, {"mscale_all_dim", 2}});
  EXPECT_NEAR(scaling({{"rope_scaling", more}}).amplitude, 0.8090757591352083, 1e-12);
  more["attention_factor"] = 3;
  EXPECT_EQ(scaling({{"rope_scaling", more}}).amplitude, 3);
  EXPECT_EQ(scaling({{"rope_scaling", {{"rope_type", "default"}}}}).kind, RopeScaling::Kind::kNone);
}

TEST(GptOssConfig, RefusesWhatItDoesNotComputeByName) {
  EXPECT_NE(refusal("GptOssForCausalLM", {{"rope_scaling", {{"rope_type", "dynamic"}}}})
                .find("'dynamic' is not supported; supported are default, linear, llama3, yarn"),
            std::string::npos);
  EXPECT_NE(refusal("GptOssForCausalLM", {{"num_local_experts", 3}}).find("there are 3 experts"),
            std::string::npos);
}

TEST(GptOssFamily, RouterAndExpertsHaveBiasesAndAttentionHasSinks) {
  const ModelConfig config =
      parsed("GptOssForCausalLM", {{"num_local_experts", 3}, {"num_experts_per_tok", 2}});
  const Family& family = find_family("GptOssForCausalLM");
  const BlockTable table = family.block(config, 0);
  const LayerConfig layer = family.layer(config, 0);
  const auto name_at = [&](int place) { return table.tensors[static_cast<size_t>(place)].name; };
  EXPECT_EQ(name_at(layer.sinks), "self_attn.sinks");
  EXPECT_EQ(name_at(layer.routing.router), "mlp.router.weight");
  EXPECT_EQ(name_at(layer.routing.router_bias), "mlp.router.bias");
  ASSERT_EQ(table.linears.size(), 4u + 3u * 3u);
  for (const LinearSpec& linear : table.linears) EXPECT_TRUE(is_present(linear.bias, config));
}

TEST(MixtureConfig, WindowsAreEachArchitecturesOwn) {
  EXPECT_EQ(windows_of(parsed("MixtralForCausalLM")), Windows(6, 0));
  EXPECT_EQ(windows_of(parsed("MixtralForCausalLM", {{"sliding_window", 8}})), Windows(6, 8));
  const json asked = {{"use_sliding_window", true}, {"max_window_layers", 3}};
  EXPECT_EQ(windows_of(parsed("Qwen2MoeForCausalLM", asked)), (Windows{4096, 0, 4096, 0, 0, 0}));
  EXPECT_EQ(windows_of(parsed("Qwen3MoeForCausalLM", asked)), Windows(6, 4096));
  const json unasked = {{"sliding_window", 8}};
  EXPECT_EQ(windows_of(parsed("Qwen2MoeForCausalLM", unasked)), Windows(6, 0));
  EXPECT_EQ(windows_of(parsed("Qwen3MoeForCausalLM", unasked)), Windows(6, 0));
}

TEST(MixtureFamily, ExpertsReadTheirOwnInputsBehindTheSharedOne) {
  const ModelConfig config =
      parsed("Qwen2MoeForCausalLM",
             {{"num_experts", 3}, {"num_experts_per_tok", 2}, {"mlp_only_layers", {4}}});
  const Family& family = find_family("Qwen2MoeForCausalLM");
  const BlockTable table = family.block(config, 0);
  ASSERT_EQ(table.linears.size(), 4u + 3u * 4u);
  for (const LinearSpec& linear : table.linears) {
    EXPECT_EQ(linear.input, linear.expert + 1) << linear.name;
    EXPECT_EQ(linear.expert >= 0, linear.name.starts_with("mlp.experts.")) << linear.name;
  }
  EXPECT_EQ(table.linears[6].name, "mlp.experts.0.gate_proj");
  EXPECT_EQ(table.linears[13].name, "mlp.experts.0.down_proj");
  EXPECT_EQ(size_of(table.linears[13].in, config), 1408);
  const Routing routing = family.layer(config, 0).routing;
  EXPECT_EQ(table.tensors[static_cast<size_t>(routing.router)].name, "mlp.gate.weight");
  EXPECT_EQ(table.tensors[static_cast<size_t>(routing.shared_gate)].name,
            "mlp.shared_expert_gate.weight");
  EXPECT_EQ(family.block(config, 4).linears.size(), 7u);  // a dense one
  EXPECT_EQ(family.layer(config, 4).routing.experts, 0);
}

TEST(MixtureFamily, BiasesAreOfQueriesKeysAndValuesWhereTheyAreAskedFor) {
  const auto biased = [](const char* name, const json& changes) {
    const ModelConfig config = parsed(name, changes);
    int64_t count = 0;
    for (const LinearSpec& linear : find_family(name).block(config, 0).linears)
      count += is_present(linear.bias, config);
    return count;
  };
  EXPECT_EQ(biased("Qwen2MoeForCausalLM", json::object()), 3);
  EXPECT_EQ(biased("Qwen2MoeForCausalLM", {{"qkv_bias", false}}), 0);
  EXPECT_EQ(biased("Qwen3MoeForCausalLM", {{"attention_bias", true}}), 4);
  EXPECT_EQ(biased("MixtralForCausalLM", {{"attention_bias", true}, {"mlp_bias", true}}), 0);
}

}  // namespace
}  // namespace halftone
