// GGUF files as models: names, the order of rows, config.json, and what is refused.
#include "checkpoint/gguf_model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_bytes.h"
#include "checkpoint/hostile_files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::f32;
using testing::GgufBytes;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::text;
using testing::texts;
using testing::u32;
using testing::write_bytes;

constexpr int64_t kHidden = 32, kHeads = 4, kKeyHeads = 2, kHeadDim = 8, kWide = 64, kVocab = 3;

std::string numbered(int64_t rows, int64_t columns, float first = 0) {
  std::vector<float> values;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      values.push_back(first + static_cast<float>(row) + static_cast<float>(column) / 128);
  return testing::floats(values);
}

// One block of numbers that say where they lie.
GgufBytes tiny_model(const std::string& arch = "llama") {
  GgufBytes file;
  const std::string p = arch + ".";
  file.with("general.architecture", text(arch))
      .with(p + "block_count", u32(1))
      .with(p + "context_length", u32(128))
      .with(p + "embedding_length", u32(kHidden))
      .with(p + "feed_forward_length", u32(kWide))
      .with(p + "attention.head_count", u32(kHeads))
      .with(p + "attention.head_count_kv", u32(kKeyHeads))
      .with(p + "attention.layer_norm_rms_epsilon", f32(1e-5F))
      .with(p + "rope.freq_base", f32(500000))
      .with("tokenizer.ggml.tokens", texts({"<s>", "a", "b"}))
      .with("tokenizer.ggml.bos_token_id", u32(0))
      .with("tokenizer.ggml.eos_token_id", u32(1));
  const auto matrix = [&](const std::string& name, uint64_t in, uint64_t out) {
    file.add(name + ".weight", {in, out},
             numbered(static_cast<int64_t>(out), static_cast<int64_t>(in)));
  };
  const auto list = [&](const std::string& name, uint64_t size) {
    file.add(name, {size}, numbered(static_cast<int64_t>(size), 1));
  };
  matrix("token_embd", kHidden, kVocab);
  list("output_norm.weight", kHidden);
  list("blk.0.attn_norm.weight", kHidden);
  matrix("blk.0.attn_q", kHidden, kHeads * kHeadDim);
  matrix("blk.0.attn_k", kHidden, kKeyHeads * kHeadDim);
  matrix("blk.0.attn_v", kHidden, kKeyHeads * kHeadDim);
  matrix("blk.0.attn_output", kHeads * kHeadDim, kHidden);
  list("blk.0.ffn_norm.weight", kHidden);
  matrix("blk.0.ffn_gate", kHidden, kWide);
  matrix("blk.0.ffn_up", kHidden, kWide);
  matrix("blk.0.ffn_down", kWide, kHidden);
  return file;
}

class GgufModelTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const GgufBytes& bytes, const std::string& name = "m.gguf") const {
    write_bytes(folder_ / name, bytes.str());
    return folder_ / name;
  }
  GgufModel model(const GgufBytes& bytes) const { return GgufModel(write(bytes)); }
  std::string refusal(const GgufBytes& bytes) const {
    const auto path = write(bytes);
    std::string message = error_of([&] { GgufModel opened(path); });
    EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
    return message;
  }

  TemporaryFolder folder_;
};

TEST_F(GgufModelTest, TensorsHaveTheFoldersNames) {
  const GgufModel opened = model(tiny_model());
  EXPECT_EQ(
      opened.names(),
      (std::vector<std::string>{
          "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
          "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.gate_proj.weight",
          "model.layers.0.mlp.up_proj.weight", "model.layers.0.post_attention_layernorm.weight",
          "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.o_proj.weight",
          "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.v_proj.weight",
          "model.norm.weight"}));
  EXPECT_TRUE(opened.contains("model.norm.weight"));
  EXPECT_FALSE(opened.contains("output_norm.weight"));
  const WeightInfo info = opened.info("model.layers.0.mlp.down_proj.weight");
  EXPECT_EQ(info.shape, (std::vector<int64_t>{kHidden, kWide}));
  EXPECT_EQ(info.dtype, at::kFloat);
  EXPECT_CONTAINS(error_of([&] { (void)opened.load("lm_head.weight"); }), "lm_head.weight");
}

TEST_F(GgufModelTest, NamesGoThereAndBack) {
  const GgufArchitecture& llama = find_gguf_architecture("llama");
  for (const char* name : {"token_embd.weight", "output.weight", "blk.12.attn_q.bias",
                           "blk.0.ffn_down.weight", "output_norm.weight"})
    EXPECT_EQ(gguf_name(llama, hugging_face_name(llama, name).value()), name);
  EXPECT_EQ(hugging_face_name(llama, "blk.12.attn_q.bias"),
            "model.layers.12.self_attn.q_proj.bias");
  for (const char* name : {"blk.01.attn_q.weight", "blk.-1.attn_q.weight", "blk..attn_q.weight",
                           "blk.1.attn_qkv.weight", "attn_q.weight", "blk.1.output.weight",
                           "token_embd", "blk.99999999.attn_q.weight", "blk.1attn_q.weight"})
    EXPECT_EQ(hugging_face_name(llama, name), std::nullopt) << name;
}

// Row b d/2 + i of a head of d rows is stored as row 2 i + b.
TEST_F(GgufModelTest, QueriesAndKeysOfLlamaAreInTheFoldersOrder) {
  const GgufModel opened = model(tiny_model());
  for (const char* name : {"q", "k"}) {
    const at::Tensor weight =
        opened.load(fmt::format("model.layers.0.self_attn.{}_proj.weight", name));
    for (int64_t row = 0; row < weight.size(0); ++row) {
      const int64_t head = row / kHeadDim, b = row % kHeadDim / (kHeadDim / 2);
      const int64_t i = row % (kHeadDim / 2);
      EXPECT_EQ(weight[row][0].item<float>(), static_cast<float>(head * kHeadDim + 2 * i + b));
    }
  }
  EXPECT_EQ(opened.load("model.layers.0.self_attn.v_proj.weight")[1][0].item<float>(), 1);
  EXPECT_EQ(opened.load("model.layers.0.self_attn.o_proj.weight")[1][0].item<float>(), 1);
}

TEST_F(GgufModelTest, BiasesOfLlamaFollowTheirRows) {
  GgufBytes file = tiny_model();
  file.add("blk.0.attn_q.bias", {kHidden}, numbered(kHidden, 1));
  const at::Tensor bias = model(file).load("model.layers.0.self_attn.q_proj.bias");
  EXPECT_TRUE(at::equal(bias.slice(0, 0, 8), at::tensor({0.F, 2.F, 4.F, 6.F, 1.F, 3.F, 5.F, 7.F})));
}

TEST_F(GgufModelTest, QueriesAndKeysOfQwen2AreStoredInTheFoldersOrder) {
  const GgufModel opened = model(tiny_model("qwen2"));
  EXPECT_EQ(opened.load("model.layers.0.self_attn.q_proj.weight")[1][0].item<float>(), 1);
  EXPECT_EQ(opened.config().at("architectures"), nlohmann::json({"Qwen2ForCausalLM"}));
}

TEST_F(GgufModelTest, RowsAreThoseOfTheWholeWeight) {
  GgufBytes file = tiny_model();
  for (GgufBytes::Tensor& tensor : file.tensors)  // queries in blocks: d = 1, codes by row
    if (tensor.name == "blk.0.attn_q.weight") {
      tensor.type = 8;
      tensor.data.clear();
      for (int row = 0; row < kHeads * kHeadDim; ++row)
        tensor.data.append("\0\x3c", 2).append(32, static_cast<char>(row));
    }
  const GgufModel opened = model(file);
  EXPECT_EQ(opened.stored("model.layers.0.self_attn.q_proj.weight").type->name, "Q8_0");
  EXPECT_EQ(opened.stored_data("model.layers.0.self_attn.q_proj.weight").size(), 32 * 34U);
  const StoredInfo info = opened.stored_info("model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(info.dtype, "Q8_0");
  EXPECT_EQ(info.shape, (std::vector<int64_t>{kHeads * kHeadDim, kHidden}));
  EXPECT_EQ(info.bytes, 32 * 34U);
  const at::Tensor index = at::tensor({5, 0, 31, 5, 12}, at::kLong);
  for (const char* name : {"q", "k", "v"}) {
    const std::string full = fmt::format("model.layers.0.self_attn.{}_proj.weight", name);
    const at::Tensor rows = index.remainder(opened.info(full).shape[0]);
    EXPECT_TRUE(at::equal(opened.load_rows(full, rows), opened.load(full).index_select(0, rows)))
        << name;
  }
  EXPECT_EQ(opened.load("model.layers.0.self_attn.q_proj.weight")[1][7].item<float>(), 2);
  EXPECT_CONTAINS(error_of([&] {
                    (void)opened.load_rows("model.embed_tokens.weight", at::tensor({3}, at::kLong));
                  }),
                  "expected rows 0 .. 2, found 3");
}

TEST_F(GgufModelTest, ABlockThatIsNotFiniteIsRefusedWhenItIsRead) {
  GgufBytes file = tiny_model();
  file.tensors[0].type = 8;
  file.tensors[0].data = std::string(34, '\0') + std::string("\0\x7c", 2) + std::string(66, '\1');
  const GgufModel opened = model(file);
  EXPECT_CONTAINS(error_of([&] { (void)opened.load("model.embed_tokens.weight"); }),
                  "m.gguf: tensor \"token_embd.weight\": row 1: expected finite scales");
  EXPECT_NO_THROW(
      (void)opened.load_rows("model.embed_tokens.weight", at::tensor({0, 2}, at::kLong)));
}

TEST_F(GgufModelTest, AScaleBesideATensorIsPartOfIt) {
  GgufBytes file = tiny_model();
  file.add("blk.0.attn_v.scale", {1}, testing::floats({0.5F}))
      .add("blk.0.attn_v.input_scale", {1}, testing::floats({3}));
  const GgufModel opened = model(file);
  EXPECT_EQ(opened.load("model.layers.0.self_attn.v_proj.weight")[4][0].item<float>(), 2);
  EXPECT_EQ(
      opened.load_rows("model.layers.0.self_attn.v_proj.weight", at::tensor({4}, at::kLong))[0][0]
          .item<float>(),
      2);
  EXPECT_EQ(opened.names().size(), 11U);
}

TEST_F(GgufModelTest, ConfigSaysWhatTheMetadataSay) {
  const nlohmann::json config = model(tiny_model()).config();
  const nlohmann::json expected = {{"architectures", {"LlamaForCausalLM"}},
                                   {"model_type", "llama"},
                                   {"hidden_act", "silu"},
                                   {"torch_dtype", "float32"},
                                   {"hidden_size", 32},
                                   {"intermediate_size", 64},
                                   {"num_hidden_layers", 1},
                                   {"num_attention_heads", 4},
                                   {"num_key_value_heads", 2},
                                   {"head_dim", 8},
                                   {"max_position_embeddings", 128},
                                   {"rms_norm_eps", 1e-5},
                                   {"rope_theta", 500000.0},
                                   {"vocab_size", 3},
                                   {"tie_word_embeddings", true},
                                   {"attention_bias", false},
                                   {"mlp_bias", false},
                                   {"bos_token_id", 0},
                                   {"eos_token_id", 1}};
  EXPECT_EQ(config, expected);
}

TEST_F(GgufModelTest, AHeadOfItsOwnUntiesTheModel) {
  GgufBytes file = tiny_model();
  file.add("output.weight", {kHidden, kVocab}, numbered(kVocab, kHidden));
  const GgufModel opened = model(file);
  EXPECT_EQ(opened.config().at("tie_word_embeddings"), false);
  EXPECT_TRUE(opened.contains("lm_head.weight"));
}

TEST_F(GgufModelTest, WidthsOfHeadsCountWhereTheyAreGiven) {
  GgufBytes file = tiny_model();
  file.with("llama.attention.key_length", u32(4)).with("llama.attention.value_length", u32(4));
  EXPECT_EQ(model(file).config().at("head_dim"), 4);
  EXPECT_CONTAINS(refusal(file.with("llama.rope.dimension_count", u32(2))),
                  "llama.rope.dimension_count: expected 4");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.attention.value_length", u32(4))),
                  "llama.attention.value_length: expected 8");
}

TEST_F(GgufModelTest, ScaledRopeIsSaidAsInAFolder) {
  GgufBytes file = tiny_model();
  file.with("llama.rope.scaling.type", text("linear")).with("llama.rope.scaling.factor", f32(2));
  EXPECT_EQ(model(file).config().at("rope_scaling"),
            (nlohmann::json{{"rope_type", "linear"}, {"factor", 2.0}}));
  file.without("llama.rope.scaling.type");
  EXPECT_EQ(model(file).config().at("rope_scaling").at("rope_type"), "linear");
  file.with("llama.rope.scaling.type", text("none"));
  EXPECT_FALSE(model(file).config().contains("rope_scaling"));
  file.with("llama.rope.scaling.type", text("yarn"))
      .with("llama.rope.scaling.original_context_length", u32(64));
  EXPECT_EQ(model(file).config().at("rope_scaling"),
            (nlohmann::json{
                {"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}}));
}

// As the converter works them out from config.json.
std::vector<float> llama3_factors(double factor, double low, double high, double context,
                                  double theta, int64_t head_dim) {
  std::vector<float> factors;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double wavelength =
        2 * std::numbers::pi *
        std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double smooth = (context / wavelength - low) / (high - low);
    factors.push_back(static_cast<float>(wavelength < context / high ? 1
                                         : wavelength > context / low
                                             ? factor
                                             : 1 / ((1 - smooth) / factor + smooth)));
  }
  return factors;
}

GgufBytes with_rope_factors(const std::vector<float>& factors) {
  GgufBytes file = tiny_model();
  const auto width = static_cast<uint32_t>(2 * factors.size());
  file.with("llama.attention.key_length", u32(width))
      .with("llama.attention.value_length", u32(width));
  for (GgufBytes::Tensor& tensor : file.tensors)
    if (tensor.name == "blk.0.attn_q.weight" || tensor.name == "blk.0.attn_k.weight") {
      tensor.dims = {kHidden, width};
      tensor.data = numbered(width, kHidden);
    }
  return file.add("rope_freqs.weight", {factors.size()}, testing::floats(factors));
}

TEST_F(GgufModelTest, FactorsOfFrequenciesAreLlama3sScaling) {
  struct Case {
    double factor, low, high, context;
    nlohmann::json expected;
  };
  const auto scaling = [](double factor, double high, int64_t original) {
    return nlohmann::json{{"rope_type", "llama3"},
                          {"factor", factor},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", high},
                          {"original_max_position_embeddings", original}};
  };
  for (const Case& each :
       {Case{8, 1, 4, 8192, scaling(8, 4, 8192)}, Case{32, 1, 4, 8192, scaling(32, 4, 8192)},
        Case{4, 1, 4, 128, scaling(4, 4, 128)}, Case{4, 1, 16, 2048, scaling(4, 16, 2048)},
        Case{8, 2, 8, 1024, scaling(8, 4, 512)}}) {
    const auto factors =
        llama3_factors(each.factor, each.low, each.high, each.context, 500000, 128);
    EXPECT_EQ(model(with_rope_factors(factors)).config().at("rope_scaling"), each.expected);
  }
}

TEST_F(GgufModelTest, OtherFactorsOfFrequenciesAreRefused) {
  EXPECT_FALSE(
      model(with_rope_factors(std::vector<float>(16, 1))).config().contains("rope_scaling"));
  std::vector<float> factors = llama3_factors(8, 1, 4, 8192, 500000, 128);
  factors[20] = 3;
  EXPECT_CONTAINS(refusal(with_rope_factors(factors)),
                  "rope_freqs.weight: expected the factors of");
  factors[20] = 0;
  EXPECT_CONTAINS(refusal(with_rope_factors(factors)), "rope_freqs.weight");
  GgufBytes file = with_rope_factors(llama3_factors(8, 1, 4, 8192, 500000, 128));
  EXPECT_CONTAINS(refusal(file.with("llama.rope.scaling.factor", f32(2))), "one way to scale rope");
  GgufBytes narrow = tiny_model();
  EXPECT_CONTAINS(refusal(narrow.add("rope_freqs.weight", {3}, testing::floats({1, 2, 3}))),
                  "expected a factor for each of 4 frequencies, found 3");
}

TEST_F(GgufModelTest, EveryNeededKeyIsMissedByName) {
  for (const char* key : {"llama.block_count", "llama.context_length", "llama.embedding_length",
                          "llama.feed_forward_length", "llama.attention.head_count",
                          "llama.attention.layer_norm_rms_epsilon", "general.architecture"})
    EXPECT_CONTAINS(refusal(tiny_model().without(key)), std::string(key) + " is missing");
}

TEST_F(GgufModelTest, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.vocab_size", u32(4))),
                  "llama.vocab_size: expected 3, the rows of token_embd.weight, found 4");
  EXPECT_CONTAINS(refusal(tiny_model().with("tokenizer.ggml.tokens", texts({"a"}))),
                  "tokenizer.ggml.tokens: expected 3");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.attention.head_count", u32(5))),
                  "not a multiple of");
  EXPECT_CONTAINS(
      refusal(tiny_model().with("llama.attention.head_count_kv", testing::u32s({2, 1}))),
      "expected one number for all blocks");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.attention.key_length", u32(12))), "whole heads");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.block_count", u32(0))), "above 0");
  for (const int32_t width : {0, -8})
    EXPECT_CONTAINS(refusal(tiny_model().with("llama.attention.key_length", testing::i32(width))),
                    "llama.attention.key_length: expected a number above 0");
}

TEST_F(GgufModelTest, WhatThisProgramCannotComputeIsRefusedByName) {
  EXPECT_CONTAINS(refusal(tiny_model("mamba")),
                  "general.architecture: expected one of llama, qwen2, qwen3, granite, olmo2, "
                  "smollm3, found mamba");
  EXPECT_CONTAINS(refusal(tiny_model().with("general.type", text("adapter"))),
                  "general.type: expected model, found adapter");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.expert_count", u32(8))), "llama.expert_count");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.attention.sliding_window", u32(64))),
                  "llama.attention.sliding_window");
  EXPECT_CONTAINS(refusal(tiny_model().with("llama.logit_scale", f32(8))), "llama.logit_scale");
  GgufBytes fused = tiny_model();
  EXPECT_CONTAINS(refusal(fused.add("blk.0.attn_qkv.weight", {1}, testing::floats({1}))),
                  "tensor \"blk.0.attn_qkv.weight\": not known of architecture llama");
  EXPECT_NO_THROW(model(tiny_model().with("llama.attention.sliding_window", u32(128))));
}

TEST_F(GgufModelTest, KeysThatAreNotUnderstoodAreNoted) {
  const GgufModel opened = model(tiny_model().with("llama.new_thing", u32(1)));
  ASSERT_EQ(opened.notes().size(), 1U);
  EXPECT_CONTAINS(opened.notes()[0], "llama.new_thing: not understood");
}

TEST_F(GgufModelTest, PartsAreOneModel) {
  GgufBytes whole = tiny_model(), rest;
  const auto total = static_cast<int32_t>(whole.tensors.size());
  rest.tensors.assign(whole.tensors.begin() + 5, whole.tensors.end());
  whole.tensors.resize(5);
  for (const auto& [file, number] : {std::pair{&whole, 0}, std::pair{&rest, 1}})
    file->with("split.no", testing::u16(static_cast<uint16_t>(number)))
        .with("split.count", testing::u16(2))
        .with("split.tensors.count", testing::i32(total));
  const auto first = write(whole, "m-00001-of-00002.gguf");
  write(rest, "m-00002-of-00002.gguf");
  const GgufModel opened(first);
  EXPECT_EQ(opened.names(), model(tiny_model()).names());
  EXPECT_EQ(opened.files().size(), 2U);
  EXPECT_EQ(opened.load("model.layers.0.mlp.down_proj.weight")[3][0].item<float>(), 3);
}

// --- the golden files against the folders they were made from ---

struct GoldenFile {
  const char *file, *folder;
  double step;  // the most a weight may be off, as a share of its row's greatest
};

TEST(GoldenGgufModel, WeightsAreThoseOfTheFolder) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/files/manifest.json");
  for (const GoldenFile& golden : {GoldenFile{"stories260K.F16", "stories260K", 0},
                                   {"stories260K.Q8_0", "stories260K", 1. / 254},
                                   {"babyllama_tok105.F16", "babyllama_tok105", 0},
                                   {"babyllama_tok105.Q8_0", "babyllama_tok105", 1. / 254},
                                   {"babyllama_tok105.Q4_0", "babyllama_tok105", 1. / 8}}) {
    SCOPED_TRACE(golden.file);
    const GgufModel model(shared_data(fmt::format("golden/gguf/files/{}.gguf", golden.file)));
    const Checkpoint folder(shared_data(fmt::format("models/{}/hf", golden.folder)));
    EXPECT_EQ(model.names(), folder.names());
    for (const std::string& name : model.names()) {
      const at::Tensor ours = model.load(name).to(at::kFloat), theirs = folder.load(name);
      ASSERT_EQ(ours.sizes(), theirs.sizes()) << name;
      const at::Tensor off = (ours - theirs).abs(), greatest = theirs.abs().amax(-1, true);
      // a float16 is off by 2^-11 of a number, or half of its least one
      const at::Tensor allowed = theirs.abs() / 2048 + 3e-8 + greatest * (golden.step * 1.01);
      EXPECT_TRUE(off.le(allowed).all().item<bool>()) << name;
    }
    for (const char* key :
         {"architectures", "hidden_size", "intermediate_size", "num_hidden_layers", "head_dim",
          "num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta", "vocab_size",
          "tie_word_embeddings", "max_position_embeddings", "attention_bias", "mlp_bias",
          "bos_token_id", "eos_token_id", "hidden_act", "model_type"})
      EXPECT_EQ(model.config().at(key), folder.config().at(key)) << key;
    EXPECT_TRUE(model.notes().empty());
  }
}

}  // namespace
}  // namespace halftone
