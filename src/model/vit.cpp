// Vision transformers for classification: ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) and DeiT
// (Touvron et al. 2021, arXiv 2012.12877), which has a distillation token beside the class token
// and, with its teacher, a classifier for each, whose mean counts. Every position sees every other.
// The convolution that makes patches into embeddings is a product, since patches do not overlap.
// Absent keys mean what transformers' ViTConfig and DeiTConfig (4.57 to 5.24) fill in.
#include <ATen/ATen.h>

#include <string>

#include "base/error.h"
#include "model/config_values.h"
#include "model/decoder_config.h"
#include "model/layer_norm_block.h"

namespace halftone {
namespace {

using nlohmann::json;

constexpr DecoderKeys kKeys = {.layers = {"num_hidden_layers", 12},
                               .hidden = {"hidden_size", 768},
                               .heads = {"num_attention_heads", 12},
                               .vocab = {"num_labels", 2},
                               .context = {"max_position_embeddings", 1},  // worked out instead
                               .intermediate = {"intermediate_size", 3072},
                               .epsilon = nullptr,
                               .activation = "hidden_act",
                               .activation_otherwise = "gelu",
                               .tied = false};

struct Extent {
  int64_t height, width;
};

// One number of both, or a list of two.
Extent extent(const json& config, const char* key, int64_t otherwise) {
  const bool both = given(config, key) && config.at(key).is_array() && config.at(key).size() == 2;
  if (!both) {
    const int64_t size = positive_or(config, key, otherwise);
    return {size, size};
  }
  return {positive({{key, config.at(key)[0]}}, key), positive({{key, config.at(key)[1]}}, key)};
}

ImageSizes image_sizes(const json& config, int64_t class_tokens) {
  const Extent image = extent(config, "image_size", 224), patch = extent(config, "patch_size", 16);
  require(image.height % patch.height == 0 && image.width % patch.width == 0,
          "config.json: image_size {} x {} is not a multiple of patch_size {} x {}", image.height,
          image.width, patch.height, patch.width);
  const int64_t channels = positive_or(config, "num_channels", 3);
  require(channels == 3, "config.json: num_channels {}: expected 3, images are read as RGB",
          channels);
  return {.channels = channels,
          .height = image.height,
          .width = image.width,
          .patch_height = patch.height,
          .patch_width = patch.width,
          .class_tokens = class_tokens};
}

// As many as id2label names.
int64_t classes(const json& config, int64_t otherwise) {
  if (!given(config, "id2label")) return otherwise;
  const json& names = config.at("id2label");
  require(names.is_object() && !names.empty(),
          "config.json: id2label: expected the classes' names by number, found {}", shown(names));
  return static_cast<int64_t>(names.size());
}

ModelConfig parse_config(const json& config, int64_t class_tokens) {
  ModelConfig model = parse_decoder(config, kKeys);
  model.tied_embeddings = false;
  model.vocab = classes(config, model.vocab);
  model.norm_epsilon = number_or(config, "layer_norm_eps", 1e-12);
  model.attention_bias = flag_or(config, "qkv_bias", true);
  model.image = image_sizes(config, class_tokens);
  model.context = model.learned_positions = model.image.positions();
  return model;
}

ModelConfig parse_vit(const json& config) {
  return parse_config(config, 1);
}

ModelConfig parse_deit(const json& config) {
  return parse_config(config, 2);
}

BlockTable block_table(const ModelConfig& config, int64_t) {
  using enum Dim;
  using namespace four_stages;
  // one key says it of the three, so none may be there unasked
  const Presence bias = config.attention_bias ? Presence::kAlways : Presence::kNever;
  const Presence always = Presence::kAlways;
  return {
      .tensors = layer_norm_specs({"layernorm_before", "layernorm_after"}),
      .linears = {linear_spec("attention.attention.query", kQuery, kHidden, kAttentionIn, bias),
                  linear_spec("attention.attention.key", kKeyValue, kHidden, kAttentionIn, bias),
                  linear_spec("attention.attention.value", kKeyValue, kHidden, kAttentionIn, bias),
                  linear_spec("attention.output.dense", kHidden, kQuery, kAttentionOut, always),
                  linear_spec("intermediate.dense", kIntermediate, kHidden, kMlpIn, always),
                  linear_spec("output.dense", kHidden, kIntermediate, kMlpOut, always)}};
}

LayerConfig layer(const ModelConfig& config, int64_t index) {
  return layer_norm_layer(config, index, QueryKeyValueLayout::kSeparate);
}

// Where embeddings are kept: all rows of each.
struct EmbeddingNames {
  const char *weight, *bias, *positions, *class_token, *distillation_token;
};

constexpr EmbeddingNames kVit = {"vit.embeddings.patch_embeddings.projection.weight",
                                 "vit.embeddings.patch_embeddings.projection.bias",
                                 "vit.embeddings.position_embeddings", "vit.embeddings.cls_token",
                                 nullptr};
constexpr EmbeddingNames kDeit = {
    "deit.embeddings.patch_embeddings.projection.weight",
    "deit.embeddings.patch_embeddings.projection.bias", "deit.embeddings.position_embeddings",
    "deit.embeddings.cls_token", "deit.embeddings.distillation_token"};

// patches: (batch, positions, patch numbers) -> (batch, positions, hidden)
at::Tensor embed_patches(const EmbeddingNames& names, const ModelConfig& config,
                         const RowLookup& rows, const at::Tensor& patches) {
  const at::Tensor all = at::arange(config.hidden), first = at::zeros({1}, at::kLong);
  const at::Tensor weight = rows(names.weight, all).flatten(1), bias = rows(names.bias, all);
  const int64_t tokens = config.image.class_tokens;
  std::vector<at::Tensor> parts;
  for (const char* token : {names.class_token, names.distillation_token})
    if (token != nullptr)
      parts.push_back(rows(token, first).expand({patches.size(0), 1, config.hidden}));
  parts.push_back(at::linear(
      patches.narrow(1, tokens, config.image.patches()).to(weight.device(), weight.scalar_type()),
      weight, bias));
  return at::cat(parts, 1) + rows(names.positions, first);
}

at::Tensor embed_vit(const ModelConfig& config, const RowLookup& rows, const at::Tensor& patches,
                     const at::Tensor&) {
  return embed_patches(kVit, config, rows, patches);
}

at::Tensor embed_deit(const ModelConfig& config, const RowLookup& rows, const at::Tensor& patches,
                      const at::Tensor&) {
  return embed_patches(kDeit, config, rows, patches);
}

// Head's tensors: weight and bias of the final norm, the classifier's bias and, with the teacher,
// weight and bias of the distillation token's classifier.
enum HeadTensor { kBias = 2, kDistillationWeight, kDistillationBias };

at::Tensor class_logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  const at::Tensor x = layer_norm_head_input(config, head, hidden.select(-2, 0));
  return at::linear(x, head.linear.weight, head.tensors[kBias]);
}

at::Tensor mean_logits(const ModelConfig& config, const Head& head, const at::Tensor& hidden) {
  const at::Tensor x = layer_norm_head_input(config, head, hidden.select(-2, 1));
  const at::Tensor distilled =
      at::linear(x, head.tensors[kDistillationWeight], head.tensors[kDistillationBias]);
  return (class_logits(config, head, hidden) + distilled) / 2;
}

// What all of them have; names begin with `root`.
Family vision_family(const std::string& root, const EmbeddingNames& names) {
  using enum Dim;
  Family family = four_stage_family();
  family.layer = layer;
  family.embedding = names.weight;
  family.outer = {{names.weight, {kHidden, kChannels, kPatchHeight, kPatchWidth}},
                  {names.bias, {kHidden}},
                  {names.positions, {kOne, kPositions, kHidden}},
                  {names.class_token, {kOne, kOne, kHidden}}};
  family.embeds = {names.bias, names.positions, names.class_token};
  if (names.distillation_token != nullptr) {
    family.outer.push_back({names.distillation_token, {kOne, kOne, kHidden}});
    family.embeds.push_back(names.distillation_token);
  }
  for (const char* norm : {".layernorm.weight", ".layernorm.bias"})
    family.outer.push_back({root + norm, {kHidden}});
  family.block = block_table;
  family.ignored = {".pooler.dense.weight", ".pooler.dense.bias"};  // no classifier reads it
  family.positions = no_positions;
  family.logits = class_logits;
  return family;
}

void add_classifier(const std::string& name, Family& family) {
  using enum Dim;
  family.outer.push_back({name + ".weight", {kVocab, kHidden}});
  family.outer.push_back({name + ".bias", {kVocab}});
}

}  // namespace

Family vit_family() {
  Family family = vision_family("vit", kVit);
  family.name = "vit";
  family.architectures = {"ViTForImageClassification"};
  family.parse_config = parse_vit;
  family.block_prefix = "vit.encoder.layer.";
  family.embed = embed_vit;
  family.head = "classifier.weight";
  add_classifier("classifier", family);
  return family;
}

Family deit_family() {
  Family family = vision_family("deit", kDeit);
  family.name = "deit";
  family.architectures = {"DeiTForImageClassification"};
  family.parse_config = parse_deit;
  family.block_prefix = "deit.encoder.layer.";
  family.embed = embed_deit;
  family.head = "classifier.weight";
  add_classifier("classifier", family);
  return family;
}

Family deit_with_teacher_family() {
  Family family = deit_family();
  family.name = "deit_with_teacher";
  family.architectures = {"DeiTForImageClassificationWithTeacher"};
  family.head = "cls_classifier.weight";
  family.outer.resize(family.outer.size() - 2);
  add_classifier("cls_classifier", family);
  add_classifier("distillation_classifier", family);
  family.logits = mean_logits;
  return family;
}

}  // namespace halftone
