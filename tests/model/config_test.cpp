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

// The file holds both spellings: the old one counts alone, and its absent rope_theta is the one at
// the top or 10000, never that of rope_parameters (transformers 5.24; 4.57 does not read
// rope_parameters).
TEST(LlamaConfig, RopeScalingTakesThePlaceOfRopeParameters) {
  json config = llama();
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
  config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 4.0}};
  ModelConfig model = parse_llama_config(config);
  EXPECT_EQ(model.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(model.rope_scaling.factor, 4);
  EXPECT_EQ(model.rope_theta, 10000);
  ASSERT_EQ(model.notes.size(), 1u);
  EXPECT_NE(model.notes[0].find("rope_scaling counts alone"), std::string::npos) << model.notes[0];
  config["rope_theta"] = 20000.0;
  EXPECT_EQ(parse_llama_config(config).rope_theta, 20000);
  config["rope_scaling"]["rope_theta"] = 30000.0;
  EXPECT_EQ(parse_llama_config(config).rope_theta, 30000);
  config["rope_scaling"] = {{"type", "default"}};
  config["rope_parameters"]["rope_type"] = "yarn";
  EXPECT_EQ(parse_llama_config(config).rope_scaling.kind, RopeScaling::Kind::kNone);
}

TEST(LlamaConfig, AnEmptyOrEqualRopeScalingLeavesRopeParametersAsTheyAre) {
  const json parameters = {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 500000.0}};
  for (const json& scaling : {json(), json::object(), parameters}) {
    json config = llama();
    config["rope_theta"] = 20000.0;  // the object's own goes first
    config["rope_parameters"] = parameters;
    config["rope_scaling"] = scaling;
    const ModelConfig model = parse_llama_config(config);
    EXPECT_EQ(model.rope_scaling.kind, RopeScaling::Kind::kLinear) << scaling;
    EXPECT_EQ(model.rope_theta, 500000) << scaling;
    EXPECT_TRUE(model.notes.empty()) << scaling;
  }
}

TEST(LlamaConfig, AnUnsupportedRopeIsRefusedByNameUnderEitherKeyAndUnderBoth) {
  const json yarn = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 128}};
  EXPECT_NE(refusal("rope_parameters", yarn).find("rope_parameters: rope type 'yarn'"),
            std::string::npos);
  json config = llama();
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
  for (const char* key : {"type", "rope_type"}) {
    config["rope_scaling"] = {{key, "yarn"}, {"factor", 4.0}};
    const std::string message = message_of([&] { parse_llama_config(config); });
    EXPECT_NE(message.find("rope_scaling: rope type 'yarn'"), std::string::npos) << message;
  }
  config["rope_scaling"] = "yarn";
  EXPECT_NE(message_of([&] { parse_llama_config(config); }).find("expected an object"),
            std::string::npos);
}

TEST(LlamaConfig, WhatARopeTypeNeedsIsNotGuessed) {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 256}};
  json config = llama();
  config["rope_scaling"] = llama3;
  EXPECT_NO_THROW(parse_llama_config(config));
  for (const char* key :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    config["rope_scaling"] = llama3;
    config["rope_scaling"].erase(key);
    const std::string message = message_of([&] { parse_llama_config(config); });
    EXPECT_NE(message.find(fmt::format("{} is missing", key)), std::string::npos) << message;
  }
}

json mistral() {
  json config = llama();
  config["architectures"] = {"MistralForCausalLM"};
  config["num_attention_heads"] = 16;
  return config;
}

// transformers' MistralConfig, 4.57 and 5.24.
TEST(MistralConfig, AbsentKeysMeanItsOwnDefaultsAndNullMeansNone) {
  json config = mistral();
  for (const char* key : {"num_key_value_heads", "max_position_embeddings"}) config.erase(key);
  const ModelConfig absent = parse_llama_config(config);
  EXPECT_EQ(absent.kv_heads, 8);
  EXPECT_EQ(absent.context, 131072);
  EXPECT_EQ(absent.sliding_window, 4096);
  config["num_key_value_heads"] = nullptr;
  config["sliding_window"] = nullptr;
  const ModelConfig null = parse_llama_config(config);
  EXPECT_EQ(null.kv_heads, 16);
  EXPECT_EQ(null.sliding_window, 0);
  config["num_key_value_heads"] = 4;
  config["sliding_window"] = 128;
  config["max_position_embeddings"] = 512;
  const ModelConfig given = parse_llama_config(config);
  EXPECT_EQ(given.kv_heads, 4);
  EXPECT_EQ(given.sliding_window, 128);
  EXPECT_EQ(given.context, 512);
}

TEST(MistralConfig, ADefaultThatDoesNotFitIsNamedAsOne) {
  json config = mistral();
  config["num_attention_heads"] = 4;
  config.erase("num_key_value_heads");
  const std::string message = message_of([&] { parse_llama_config(config); });
  EXPECT_NE(message.find("num_key_value_heads 8, which MistralForCausalLM has where the key is "
                         "absent"),
            std::string::npos)
      << message;
}

// transformers' LlamaConfig, 4.57 and 5.24.
TEST(LlamaConfig, HasNoWindowAndTheContextOfLlama) {
  json config = llama();
  config.erase("max_position_embeddings");
  EXPECT_EQ(parse_llama_config(config).context, 2048);
  EXPECT_EQ(parse_llama_config(config).norm_epsilon, 1e-6);
  config["sliding_window"] = 128;
  EXPECT_EQ(parse_llama_config(config).sliding_window, 0);
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
  EXPECT_NE(refusal("partial_rotary_factor", 0.5).find("partial"), std::string::npos);
  EXPECT_NE(refusal("rope_parameters", {{"full_attention", {{"rope_type", "yarn"}}}})
                .find("full_attention"),
            std::string::npos);
}

TEST(Families, AnUnknownArchitectureListsTheKnownOnes) {
  const std::string message = message_of([] { find_family("BloomForCausalLM"); });
  EXPECT_NE(message.find("BloomForCausalLM"), std::string::npos);
  EXPECT_NE(message.find("LlamaForCausalLM"), std::string::npos);
  EXPECT_NE(message.find("MistralForCausalLM"), std::string::npos);
}

}  // namespace
}  // namespace halftone
