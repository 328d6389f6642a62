#include "pipeline/gguf_head.h"

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_writer.h"
#include "pipeline/model_tokenizer.h"

namespace halftone {
namespace {

// Keys and values, in the order in which they are added.
class Entries {
 public:
  explicit Entries(GgufHead& head) : head_(head) {}

  template <class T>
  void add(const std::string& key, const T& value) {
    head_.metadata.emplace_back(key, gguf_value(value));
  }
  // Of the architecture.
  void count(const std::string& key, int64_t value) {
    require(value >= 0 && value <= UINT32_MAX, "{}: expected 32 bits, found {}", key, value);
    add(head_.architecture + "." + key, static_cast<uint32_t>(value));
  }
  void number(const std::string& key, double value) {
    add(head_.architecture + "." + key, static_cast<float>(value));
  }
  void text(const std::string& key, const char* value) {
    add(head_.architecture + "." + key, value);
  }

 private:
  GgufHead& head_;
};

void add_sizes(const ModelConfig& config, Entries& entries) {
  entries.count("vocab_size", config.vocab);
  entries.count("context_length", config.context);
  entries.count("embedding_length", config.hidden);
  entries.count("block_count", config.layers);
  entries.count("feed_forward_length", config.intermediate);
  entries.count("attention.head_count", config.heads);
  entries.count("attention.head_count_kv", config.kv_heads);
  if (config.head_dim * config.heads != config.hidden) {
    entries.count("attention.key_length", config.head_dim);
    entries.count("attention.value_length", config.head_dim);
  }
  entries.number("attention.layer_norm_rms_epsilon", config.norm_epsilon);
}

// llama3's scaling is no key but a tensor of factors.
std::vector<float> rope_factors(const ModelConfig& config) {
  if (config.rope_scaling.kind != RopeScaling::Kind::kLlama3) return {};
  const RopeOptions plain{.dim = config.head_dim, .theta = config.rope_theta};
  RopeOptions scaled = plain;
  scaled.scaling = config.rope_scaling;
  const std::vector<double> from = rope_frequencies(plain), to = rope_frequencies(scaled);
  std::vector<float> factors;
  for (size_t i = 0; i < from.size(); ++i) factors.push_back(static_cast<float>(from[i] / to[i]));
  return factors;
}

void add_rope(const ModelConfig& config, Entries& entries) {
  entries.count("rope.dimension_count", config.head_dim);
  entries.number("rope.freq_base", config.rope_theta);
  if (config.rope_scaling.kind != RopeScaling::Kind::kLinear) return;
  entries.text("rope.scaling.type", "linear");
  entries.number("rope.scaling.factor", config.rope_scaling.factor);
}

void add_multipliers(const ModelConfig& config, Entries& entries) {
  entries.number("attention.scale", config.attention_scale);
  entries.number("embedding_scale", config.embedding_scale);
  entries.number("residual_scale", config.residual_scale);
  entries.number("logit_scale", config.logit_divisor);
}

void require_rotary(const ModelConfig& config, int64_t unturned_every) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const bool turns = unturned_every == 0 || (layer + 1) % unturned_every != 0;
    require(config.is_rotary(layer) == turns,
            "layer {}: {} rotary embeddings, which GGUF files of this architecture cannot say",
            layer, turns ? "without" : "with");
  }
}

void require_full_attention(const ModelConfig& config) {
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const int64_t window = config.window_of(layer);
    require(window == 0 || window >= config.context,
            "layer {}: attends to the last {} tokens of {}, which GGUF files of this architecture "
            "cannot say",
            layer, window, config.context);
  }
}

void add_tokenizer(const GgufVocabulary& vocabulary, Entries& entries) {
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.").append(name); };
  const auto add_id = [&](const char* name, const std::optional<int64_t>& id) {
    if (id) entries.add(key(name), static_cast<uint32_t>(*id));
  };
  const auto add_flag = [&](const char* name, const std::optional<bool>& flag) {
    if (flag) entries.add(key(name), *flag);
  };
  const auto add_list = [&]<class T>(const char* name, const std::vector<T>& list) {
    if (!list.empty()) entries.add(key(name), std::span<const T>(list));
  };
  entries.add(key("model"), std::string_view(vocabulary.model));
  if (!vocabulary.pre.empty()) entries.add(key("pre"), std::string_view(vocabulary.pre));
  add_list("tokens", vocabulary.tokens);
  add_list("scores", vocabulary.scores);
  add_list("token_type", vocabulary.types);
  add_list("merges", vocabulary.merges);
  add_id("bos_token_id", vocabulary.bos);
  add_id("eos_token_id", vocabulary.eos);
  add_id("unknown_token_id", vocabulary.unknown);
  add_id("padding_token_id", vocabulary.padding);
  add_flag("add_bos_token", vocabulary.add_bos);
  add_flag("add_eos_token", vocabulary.add_eos);
  add_flag("add_space_prefix", vocabulary.add_space_prefix);
  if (!vocabulary.chat_template.empty())
    entries.add("tokenizer.chat_template", std::string_view(vocabulary.chat_template));
}

}  // namespace

GgufHead gguf_numbers_of(const OpenedModel& source, const Model& model) {
  const ModelConfig& config = model.config();
  GgufHead head;
  const GgufArchitecture& architecture = gguf_architecture_for(config.architecture);
  head.architecture = architecture.name;
  head.head_dim = config.head_dim;
  require_full_attention(config);
  require_rotary(config, architecture.unturned_every);
  Entries entries(head);
  entries.add("general.architecture", std::string_view(head.architecture));
  entries.add("general.type", "model");
  entries.add("general.name", std::string_view(last_name(source.path)));
  add_sizes(config, entries);
  add_rope(config, entries);
  if (architecture.says_multipliers) add_multipliers(config, entries);
  head.rope_factors = rope_factors(config);
  return head;
}

GgufHead gguf_head_of(const OpenedModel& source, const Model& model) {
  GgufHead head = gguf_numbers_of(source, model);
  Entries entries(head);
  GgufExport tokenizer = model_vocabulary(source.path, model.config().vocab);
  add_tokenizer(tokenizer.vocabulary, entries);
  head.note = std::move(tokenizer.note);
  return head;
}

}  // namespace halftone
