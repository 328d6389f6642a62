#include "model/config.h"

#include <gtest/gtest.h>

#include "model/family.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using nlohmann::json;

json llama() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"num_hidden_layers", 2},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"vocab_size", 100},
          {"num_attention_heads", 8},
          {"num_key_value_heads", 4},
          {"max_position_embeddings", 512}};
}

std::string refusal(const std::string& key, const json& value) {
  json config = llama();
  config[key] = value;
  return message_of([&] { parse_llama_config(config); });
}

TEST(LlamaConfig, FillsInWhatOldFilesLeaveOut) {
  json config = llama();
  config.erase("num_key_value_heads");
  const ModelConfig model = parse_llama_config(config);
  EXPECT_EQ(model.kv_heads, 8);
  EXPECT_EQ(model.head_dim, 8);
  EXPECT_EQ(model.rope_theta, 10000);
  EXPECT_FALSE(model.tied_embeddings);
}

TEST(LlamaConfig, BothRopeSpellingsMeanTheSame) {
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 256}};
  json old_spelling = llama(), new_spelling = llama();
  old_spelling["rope_theta"] = 500000.0;
  old_spelling["rope_scaling"] = scaling;
  new_spelling["rope_parameters"] = scaling;
  new_spelling["rope_parameters"]["rope_theta"] = 500000.0;
  const ModelConfig a = parse_llama_config(old_spelling), b = parse_llama_config(new_spelling);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(b.rope_scaling.kind, RopeScaling::Kind::kLlama3);
  EXPECT_EQ(a.rope_scaling.original_context, b.rope_scaling.original_context);
}

TEST(LlamaConfig, RefusesSenselessNumbers) {
  EXPECT_NE(refusal("hidden_size", 0).find("hidden_size"), std::string::npos);
  EXPECT_NE(refusal("hidden_size", -64).find("-64"), std::string::npos);
  EXPECT_NE(refusal("vocab_size", 1e300).find("vocab_size"), std::string::npos);
  EXPECT_NE(refusal("num_hidden_layers", "two").find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(refusal("num_key_value_heads", 3).find("multiple"), std::string::npos);
  EXPECT_NE(refusal("head_dim", 7).find("even"), std::string::npos);
  EXPECT_NE(refusal("rms_norm_eps", 0).find("rms_norm_eps"), std::string::npos);
}

TEST(LlamaConfig, ReadsAnOnlineRotationAndNothingThatOnlyLooksLikeOne) {
  json config = llama();
  EXPECT_FALSE(parse_llama_config(config).online_seed.has_value());
  config["quantization_config"] = online_rotation_json(7);
  EXPECT_EQ(parse_llama_config(config).online_seed, 7u);
  for (const json& wrong : {json(true), json(7), json::object(), json({{"seed", -1}}),
                            json({{"seed", 7}, {"kind", "other"}})}) {
    const json quantization = {{"online_rotation", wrong}};
    EXPECT_NE(refusal("quantization_config", quantization).find("whole number"), std::string::npos)
        << wrong;
  }
}

TEST(LlamaConfig, NamesWhatIsNotSupported) {
  EXPECT_NE(refusal("hidden_act", "gelu").find("gelu"), std::string::npos);
  EXPECT_NE(refusal("rope_scaling", {{"type", "yarn"}, {"factor", 2.0}}).find("yarn"),
            std::string::npos);
  EXPECT_NE(refusal("rope_parameters", {{"partial_rotary_factor", 0.5}}).find("partial"),
            std::string::npos);
}

TEST(Families, AnUnknownArchitectureListsTheKnownOnes) {
  const std::string message = message_of([] { find_family("Qwen3ForCausalLM"); });
  EXPECT_NE(message.find("Qwen3ForCausalLM"), std::string::npos);
  EXPECT_NE(message.find("LlamaForCausalLM"), std::string::npos);
  EXPECT_NE(message.find("MistralForCausalLM"), std::string::npos);
}

}  // namespace
}  // namespace halftone
