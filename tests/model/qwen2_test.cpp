// Qwen2's keys of config.json, as transformers 5.24 reads them (its forward pass:
// forward_test.cpp).
#include <gtest/gtest.h>

#include "model/family.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using nlohmann::json;

json qwen2() {
  return {{"architectures", {"Qwen2ForCausalLM"}},
          {"num_hidden_layers", 4},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"vocab_size", 50},
          {"num_attention_heads", 32}};
}

ModelConfig parsed(const json& changes = json::object()) {
  json config = qwen2();
  config.update(changes);
  return find_family("Qwen2ForCausalLM").parse_config(config);
}

std::vector<int64_t> windows_of(const json& changes = json::object()) {
  const ModelConfig config = parsed(changes);
  std::vector<int64_t> windows;
  for (int64_t i = 0; i < config.layers; ++i) windows.push_back(config.window_of(i));
  return windows;
}

using Windows = std::vector<int64_t>;

TEST(Qwen2Config, AbsentKeysMeanWhatTheLibraryFillsIn) {
  const ModelConfig config = parsed();
  EXPECT_EQ(config.kv_heads, 32);
  EXPECT_EQ(config.context, 32768);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_EQ(parsed({{"num_key_value_heads", nullptr}, {"num_attention_heads", 4}}).kv_heads, 4);
}

TEST(Qwen2Config, LayersHaveAWindowOnlyWhereItIsAskedFor) {
  EXPECT_EQ(windows_of(), Windows(4, 0));
  EXPECT_EQ(windows_of({{"sliding_window", 8}, {"max_window_layers", 2}}), Windows(4, 0));
  EXPECT_EQ(windows_of({{"use_sliding_window", true}}), Windows(4, 0));  // from layer 28 on
  EXPECT_EQ(windows_of({{"use_sliding_window", true}, {"max_window_layers", 2}}),
            (Windows{0, 0, 4096, 4096}));
  EXPECT_EQ(
      windows_of({{"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 0}}),
      Windows(4, 8));
  EXPECT_EQ(
      windows_of(
          {{"use_sliding_window", true}, {"sliding_window", nullptr}, {"max_window_layers", 0}}),
      Windows(4, 0));
}

TEST(Qwen2Config, LayerTypesGoBeforeMaxWindowLayers) {
  const json types = {"sliding_attention", "full_attention", "sliding_attention", "full_attention"};
  EXPECT_EQ(
      windows_of({{"use_sliding_window", true}, {"sliding_window", 5}, {"layer_types", types}}),
      (Windows{5, 0, 5, 0}));
  const auto refusal = [](const json& changes) { return message_of([&] { parsed(changes); }); };
  EXPECT_NE(refusal({{"layer_types", types}}).find("use_sliding_window"), std::string::npos);
  EXPECT_NE(refusal({{"layer_types", {"full_attention"}}}).find("list of 4"), std::string::npos);
  EXPECT_NE(refusal({{"layer_types", json(4, "chunked_attention")}}).find("chunked_attention"),
            std::string::npos);
}

TEST(Qwen2Family, QueriesKeysAndValuesHaveBiasesWhateverTheConfigSays) {
  for (const bool said : {false, true}) {
    const ModelConfig config = parsed({{"attention_bias", said}, {"mlp_bias", said}});
    std::vector<std::string> biased;
    for (const LinearSpec& linear : find_family("Qwen2ForCausalLM").block(config, 0).linears)
      if (is_present(linear.bias, config)) biased.push_back(linear.name);
    EXPECT_EQ(biased, (std::vector<std::string>{"self_attn.q_proj", "self_attn.k_proj",
                                                "self_attn.v_proj"}));
  }
}

}  // namespace
}  // namespace halftone
