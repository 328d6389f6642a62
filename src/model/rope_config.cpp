// What config.json says of rotary embeddings.
#include <cmath>

#include "base/error.h"
#include "model/config.h"
#include "model/config_values.h"

namespace halftone {
namespace {

using nlohmann::json;

bool holds_something(const json& config, const char* key) {
  return given(config, key) && !config.at(key).empty();
}

// The object that counts, null for none. The old spelling has rope_theta at the top and
// rope_scaling {type or rope_type, ...}; the new one puts all of it into rope_parameters. Where a
// file has both, rope_scaling takes the place of the whole of rope_parameters, its rope_theta
// included (transformers 5; version 4 knows no other).
const char* rope_key(const json& config, ModelConfig& model) {
  const bool old_one = holds_something(config, "rope_scaling");
  const bool new_one = holds_something(config, "rope_parameters");
  if (old_one && new_one && config.at("rope_scaling") != config.at("rope_parameters"))
    model.notes.push_back(fmt::format(
        "config.json: rope_scaling {} and rope_parameters {}: rope_scaling counts alone, as in "
        "transformers",
        shown(config.at("rope_scaling")), shown(config.at("rope_parameters"))));
  return old_one ? "rope_scaling" : new_one ? "rope_parameters" : nullptr;
}

// Which share of a head rotates, as an object says it.
double rotary_share(const json& object, const std::string& place, const char* key,
                    const RopeKeys& keys, double otherwise) {
  const double share = number_or(object, key, otherwise);
  require(keys.share_key != nullptr || share == 1,
          "{}: partial rotary embeddings are not supported", place);
  require(share <= 1, "{}: {}: expected a share of a head, at most 1, found {}", place, key, share);
  return share;
}

// As the library rounds it.
int64_t rotary_dim(const ModelConfig& model, double share) {
  const auto dim = static_cast<int64_t>(static_cast<double>(model.head_dim) * share);
  require(dim > 0 && dim % 2 == 0,
          "config.json: {} of {} numbers of a head rotate: rotary embeddings need an even number",
          dim, model.head_dim);
  return dim;
}

void parse_llama3(const json& rope, const std::string& place, RopeScaling& scaling) {
  for (const char* key : {"low_freq_factor", "high_freq_factor"})
    require(given(rope, key), "{}: {} is missing", place, key);
  scaling.low_frequency_factor = number_or(rope, "low_freq_factor", 1);
  scaling.high_frequency_factor = number_or(rope, "high_freq_factor", 4);
  scaling.original_context = positive(rope, "original_max_position_embeddings");
  require(scaling.high_frequency_factor > scaling.low_frequency_factor,
          "{}: high_freq_factor must be above low_freq_factor", place);
}

// YaRN (Peng et al. 2023, arXiv 2309.00071) as transformers' _compute_yarn_parameters has it. The
// original context counts first where it stands beside the object.
void parse_yarn(const json& config, const json& rope, ModelConfig& model) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  RopeScaling& scaling = model.rope_scaling;
  scaling.original_context =
      positive_or(config, kOriginal, positive_or(rope, kOriginal, model.context));
  scaling.factor =
      number_or(rope, "factor",
                static_cast<double>(model.context) / static_cast<double>(scaling.original_context));
  scaling.fast_turns = number_or(rope, "beta_fast", scaling.fast_turns);
  scaling.slow_turns = number_or(rope, "beta_slow", scaling.slow_turns);
  scaling.whole_pairs = flag_or(rope, "truncate", scaling.whole_pairs);
  const auto amplitude = [&](double scale) {
    return scaling.factor <= 1 ? 1 : 0.1 * scale * std::log(scaling.factor) + 1;
  };
  const bool two = given(rope, "mscale") && given(rope, "mscale_all_dim");
  scaling.amplitude = number_or(rope, "attention_factor",
                                two ? amplitude(number_or(rope, "mscale", 1)) /
                                          amplitude(number_or(rope, "mscale_all_dim", 1))
                                    : amplitude(1));
}

constexpr const char* kShare = "partial_rotary_factor";

// What the object of rope's parameters says; it goes before what stands beside it.
void parse_rope_object(const json& config, const char* key, const RopeKeys& keys, double share,
                       ModelConfig& model) {
  const std::string place = fmt::format("config.json: {}", key);
  const json& rope = config.at(key);
  require(rope.is_object(), "{}: expected an object, found {}", place, shown(rope));
  for (const auto& [name, value] : rope.items())
    require(!value.is_object(), "{}: {}: a type of layers of its own is not supported", place,
            printable(name));
  model.rope_theta = number_or(rope, "rope_theta", model.rope_theta);
  const std::string type = text_or(rope, "rope_type", text_or(rope, "type", "default"));
  model.rotary_dim = rotary_dim(model, rotary_share(rope, place, kShare, keys, share));
  if (type == "default") return;
  const bool yarn = keys.yarn && type == "yarn";
  require(yarn || type == "linear" || type == "llama3",
          "{}: rope type '{}' is not supported; supported are default, linear, llama3{}", place,
          printable(type), keys.yarn ? ", yarn" : "");
  RopeScaling& scaling = model.rope_scaling;
  if (yarn) {
    scaling.kind = RopeScaling::Kind::kYarn;
    return parse_yarn(config, rope, model);
  }
  require(given(rope, "factor"), "{}: factor is missing", place);
  scaling.factor = number_or(rope, "factor", 1);
  scaling.kind = type == "linear" ? RopeScaling::Kind::kLinear : RopeScaling::Kind::kLlama3;
  if (type == "llama3") parse_llama3(rope, place, scaling);
}

}  // namespace

void parse_rope(const json& config, const RopeKeys& keys, ModelConfig& model) {
  model.rope_theta = number_or(config, keys.theta, 10000);
  const double share = rotary_share(
      config, "config.json", keys.share_key != nullptr ? keys.share_key : kShare, keys, keys.share);
  model.rotary_dim = rotary_dim(model, share);
  if (const char* key = rope_key(config, model)) parse_rope_object(config, key, keys, share, model);
}

}  // namespace halftone
