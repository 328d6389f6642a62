#include "checkpoint/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <set>

#include "base/error.h"

namespace halftone {
namespace {

using nlohmann::json;

// Keys behind the architecture's name that would change the model: what of them changes nothing.
struct NeutralKey {
  std::string_view key;
  double neutral, also_neutral;
};
constexpr std::array<NeutralKey, 9> kNeutral{{{"expert_count", 0, 0},
                                              {"attention.scale", 0, 0},
                                              {"attention.clamp_kqv", 0, 0},
                                              {"attention.max_alibi_bias", 0, 0},
                                              {"attn_logit_softcapping", 0, 0},
                                              {"final_logit_softcapping", 0, 0},
                                              {"logit_scale", 0, 1},
                                              {"residual_scale", 0, 1},
                                              {"embedding_scale", 0, 1}}};

// Numbers that some architectures have, by what config.json calls them. Scores are scaled by
// head_dim^-1/2 where no key says otherwise.
struct Multiplier {
  std::string_view key;
  const char* config_key;
};
constexpr std::array<Multiplier, 4> kMultipliers{{{"attention.scale", "attention_multiplier"},
                                                  {"logit_scale", "logits_scaling"},
                                                  {"residual_scale", "residual_multiplier"},
                                                  {"embedding_scale", "embedding_multiplier"}}};

// The metadata under an architecture's name, and which of its keys were asked for.
class Keys {
 public:
  Keys(std::string_view architecture, const GgufMetadata& metadata)
      : prefix_(fmt::format("{}.", architecture)), metadata_(metadata) {}

  std::optional<int64_t> whole_or_none(std::string_view key) {
    const std::optional<std::vector<int64_t>> values = metadata_.wholes(asked(key));
    if (!values) return {};
    require(!values->empty(), "{}{}: expected a number, found an empty array", prefix_, key);
    for (const int64_t value : *values)
      require(value == values->front(),
              "{}{}: expected one number for all blocks, found {} and {}: not supported", prefix_,
              key, values->front(), value);
    return values->front();
  }
  int64_t whole(std::string_view key) {
    const std::optional<int64_t> value = whole_or_none(key);
    require(value.has_value(), "{}{} is missing", prefix_, key);
    require(*value > 0, "{}{}: expected a number above 0, found {}", prefix_, key, *value);
    return *value;
  }
  std::optional<double> number(std::string_view key) { return metadata_.number(asked(key)); }
  std::optional<std::string_view> text(std::string_view key) { return metadata_.text(asked(key)); }

  const std::string& prefix() const { return prefix_; }

  // Keys under the name that nobody asked for.
  std::vector<std::string> others() const {
    std::vector<std::string> keys;
    for (const std::string_view key : metadata_.keys())
      if (key.starts_with(prefix_) && !asked_.contains(key)) keys.emplace_back(key);
    return keys;
  }

 private:
  std::string_view asked(std::string_view key) {
    return *asked_.insert(prefix_ + std::string(key)).first;
  }

  std::string prefix_;
  const GgufMetadata& metadata_;
  std::set<std::string, std::less<>> asked_;
};

// But for those that the architecture has.
void require_neutral(const GgufArchitecture& architecture, Keys& keys) {
  const auto is_multiplier = [&](std::string_view key) {
    return architecture.says_multipliers &&
           std::ranges::find(kMultipliers, key, &Multiplier::key) != kMultipliers.end();
  };
  for (const auto& [key, neutral, also_neutral] : kNeutral) {
    if (is_multiplier(key)) continue;
    const double value = keys.number(key).value_or(neutral);
    require(value == neutral || value == also_neutral, "{}{}: expected {}, found {}: not supported",
            keys.prefix(), key, also_neutral, value);
  }
}

void add_heads(Keys& keys, json& config) {
  const int64_t hidden = keys.whole("embedding_length"), heads = keys.whole("attention.head_count");
  const std::optional<int64_t> key_length = keys.whole_or_none("attention.key_length");
  require(key_length.value_or(1) > 0, "{}attention.key_length: expected a number above 0, found {}",
          keys.prefix(), key_length.value_or(0));
  require(key_length || hidden % heads == 0,
          "{}embedding_length {} is not a multiple of {}attention.head_count {}", keys.prefix(),
          hidden, keys.prefix(), heads);
  const int64_t head_dim = key_length.value_or(hidden / heads);
  for (const char* key : {"attention.value_length", "rope.dimension_count"}) {
    const int64_t value = keys.whole_or_none(key).value_or(head_dim);
    require(value == head_dim, "{}{}: expected {}, the width of a head, found {}: not supported",
            keys.prefix(), key, head_dim, value);
  }
  config["hidden_size"] = hidden;
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = keys.whole_or_none("attention.head_count_kv").value_or(heads);
  config["head_dim"] = head_dim;
}

void add_multipliers(Keys& keys, json& config) {
  for (const auto& [key, config_key] : kMultipliers) {
    const double value = keys.number(key).value_or(0);
    const bool of_scores = key == "attention.scale";
    config[config_key] = value != 0  ? value
                         : of_scores ? 1 / std::sqrt(config.at("head_dim").get<double>())
                                     : 1;
  }
}

void add_vocabulary(Keys& keys, const GgufMetadata& metadata, int64_t rows, json& config) {
  const auto same = [&](std::string_view place, int64_t count) {
    require(count == rows, "{}: expected {}, the rows of token_embd.weight, found {}", place, rows,
            count);
  };
  if (const auto size = keys.whole_or_none("vocab_size")) same(keys.prefix() + "vocab_size", *size);
  if (const GgufValue* tokens = metadata.find("tokenizer.ggml.tokens"))
    same("tokenizer.ggml.tokens", static_cast<int64_t>(tokens->count));
  config["vocab_size"] = rows;
  for (const auto& [ours, theirs] :
       {std::pair{"bos_token_id", "bos"}, {"eos_token_id", "eos"}, {"pad_token_id", "padding"}}) {
    const auto id = metadata.whole(fmt::format("tokenizer.ggml.{}_token_id", theirs));
    if (id && *id < rows) config[ours] = *id;  // one beyond the rows says: none
  }
}

void require_window_beyond(Keys& keys, int64_t context) {
  const int64_t window = keys.whole_or_none("attention.sliding_window").value_or(0);
  require(window <= 0 || window >= context,
          "{}attention.sliding_window: expected none below the context of {}, found {}: not "
          "supported, since the file does not say in which blocks",
          keys.prefix(), context, window);
}

// --- rope ---

// Of rope_type "llama3". The functions of (low, high, original) and of multiples of all three are
// one: `low` is taken to be 1.
struct Llama3Rope {
  double factor, high;
  int64_t original;
};

// What divides a frequency of 1 / wavelength turns a token.
double llama3_factor(const Llama3Rope& rope, double wavelength) {
  const double turns = static_cast<double>(rope.original) / wavelength;
  if (turns > rope.high) return 1;
  if (turns < 1) return rope.factor;
  const double smooth = (turns - 1) / (rope.high - 1);
  return 1 / ((1 - smooth) / rope.factor + smooth);
}

bool gives(const Llama3Rope& rope, const std::vector<double>& factors,
           const std::vector<double>& wavelengths) {
  constexpr double kTolerance = 1e-4;  // relative, of float32 factors
  for (size_t i = 0; i < factors.size(); ++i)
    if (std::abs(llama3_factor(rope, wavelengths[i]) / factors[i] - 1) > kTolerance) return false;
  return true;
}

// From two factors between 1 and the greatest: the smooth part is a line in turns / wavelength.
std::optional<Llama3Rope> fitted(const std::vector<double>& factors,
                                 const std::vector<double>& wavelengths, double greatest) {
  std::vector<std::pair<double, double>> line;  // 1 / wavelength, smooth
  for (size_t i = 0; i < factors.size(); ++i)
    if (factors[i] > 1.001 && factors[i] < 0.999 * greatest)
      line.emplace_back(1 / wavelengths[i], (1 / factors[i] - 1 / greatest) / (1 - 1 / greatest));
  if (line.size() < 2) return {};
  const auto [x, y] = line.front();
  const double slope = (y - line.back().second) / (x - line.back().first);
  const double below = slope * x - y;  // low / (high - low)
  if (!(below > 1e-3) || !(slope > 0)) return {};
  const double high = std::round((1 + 1 / below) * 1000) / 1000;
  return Llama3Rope{greatest, high, std::llround(slope * (high - 1))};
}

Llama3Rope llama3_rope(const std::vector<double>& factors, double theta, int64_t head_dim) {
  std::vector<double> wavelengths;
  for (size_t i = 0; i < factors.size(); ++i)
    wavelengths.push_back(
        2 * std::numbers::pi *
        std::pow(theta, 2 * static_cast<double>(i) / static_cast<double>(head_dim)));
  const double greatest = *std::max_element(factors.begin(), factors.end());
  const Llama3Rope published{greatest, 4, 8192};
  if (gives(published, factors, wavelengths)) return published;
  const std::optional<Llama3Rope> found = fitted(factors, wavelengths, greatest);
  require(found && gives(*found, factors, wavelengths),
          "rope_freqs.weight: expected the factors of rope type llama3, found others: not "
          "supported");
  return *found;
}

void add_rope(Keys& keys, const GgufStored& stored, json& config) {
  const double theta = keys.number("rope.freq_base").value_or(10000);
  config["rope_theta"] = theta;
  const auto old_factor = keys.number("rope.scale_linear");
  const double factor = keys.number("rope.scaling.factor").value_or(old_factor.value_or(0));
  const auto type = keys.text("rope.scaling.type");
  const auto original = keys.whole_or_none("rope.scaling.original_context_length");
  // without a type a factor is linear; 0 is none
  const bool scaled = type ? *type != "none" : factor != 0 && factor != 1;
  const std::vector<double>& factors = stored.rope_factors;
  require(factors.empty() || 2 * static_cast<int64_t>(factors.size()) == config.at("head_dim"),
          "rope_freqs.weight: expected a factor for each of {} frequencies, found {}",
          config.at("head_dim").get<int64_t>() / 2, factors.size());
  const bool by_frequency =
      std::any_of(factors.begin(), factors.end(), [](double each) { return each != 1; });
  require(!scaled || !by_frequency,
          "expected one way to scale rope, found {}rope.scaling and rope_freqs.weight: not "
          "supported",
          keys.prefix());
  if (scaled) {
    json& scaling = config["rope_scaling"];
    scaling = {{"rope_type", std::string(type.value_or("linear"))}};
    if (factor != 0) scaling["factor"] = factor;
    if (original) scaling["original_max_position_embeddings"] = *original;
  } else if (by_frequency) {
    const Llama3Rope rope = llama3_rope(factors, theta, config.at("head_dim"));
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", rope.factor},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", rope.high},
                              {"original_max_position_embeddings", rope.original}};
  }
}

}  // namespace

GgufConfig gguf_config(const GgufArchitecture& architecture, const GgufMetadata& metadata,
                       const GgufStored& stored) {
  Keys keys(architecture.name, metadata);
  json config = {{"architectures", {std::string(architecture.model_class)}},
                 {"model_type", std::string(architecture.model_type)},
                 {"hidden_act", "silu"},
                 {"torch_dtype", stored.dtype},
                 {"tie_word_embeddings", !stored.own_head}};
  require_neutral(architecture, keys);
  config["num_hidden_layers"] = keys.whole("block_count");
  config["intermediate_size"] = keys.whole("feed_forward_length");
  config["max_position_embeddings"] = keys.whole("context_length");
  add_heads(keys, config);
  if (architecture.says_multipliers) add_multipliers(keys, config);
  const auto epsilon = keys.number("attention.layer_norm_rms_epsilon");
  require(epsilon.has_value(), "{}attention.layer_norm_rms_epsilon is missing", keys.prefix());
  config["rms_norm_eps"] = *epsilon;
  add_vocabulary(keys, metadata, stored.vocabulary, config);
  require_window_beyond(keys, config.at("max_position_embeddings"));
  add_rope(keys, stored, config);
  if (architecture.says_biases) {
    config["attention_bias"] = stored.attention_biases;
    config["mlp_bias"] = stored.mlp_biases;
  }
  GgufConfig result{std::move(config), {}};
  for (const std::string& key : keys.others())
    result.notes.push_back(
        fmt::format("{}: not understood, so it changes nothing here", printable(key)));
  return result;
}

}  // namespace halftone
