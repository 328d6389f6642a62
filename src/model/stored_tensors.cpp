#include "model/stored_tensors.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace halftone {
namespace {

constexpr int64_t kRowsAtOnce = 4096;  // of two matrices that are compared

// Kinds of tensors that may be there unasked, and how config.json asks for them.
struct Unasked {
  Presence presence;
  bool ModelConfig::*option;
  const char* key;
  bool value;
};

constexpr Unasked kUnasked[] = {
    {Presence::kUntied, &ModelConfig::tied_embeddings, "tie_word_embeddings", false},
    {Presence::kAttentionBias, &ModelConfig::attention_bias, "attention_bias", true},
    {Presence::kMlpBias, &ModelConfig::mlp_bias, "mlp_bias", true}};

bool is_weight_dtype(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf ||
         dtype == at::kDouble;
}

bool are_equal(const WeightSource& source, const std::string& a, const std::string& b) {
  const WeightInfo first = source.info(a), second = source.info(b);
  if (first.shape != second.shape || first.dtype != second.dtype) return false;
  bool equal = true;
  for (int64_t row = 0; equal && row < first.shape[0]; row += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, first.shape[0] - row);
    equal = at::equal(source.load(a).narrow(0, row, count), source.load(b).narrow(0, row, count));
    source.release(a);
    source.release(b);
  }
  return equal;
}

// Whether the model is the same without it: a second copy of the embedding, a bias of zeros.
bool adds_nothing(const WeightSource& source, const Family& family, const NamedTensor& tensor) {
  if (tensor.presence == Presence::kUntied) return are_equal(source, tensor.name, family.embedding);
  const bool zero = source.load(tensor.name).eq(0).all().item<bool>();
  source.release(tensor.name);
  return zero;
}

// Those of a kind, if all of it is stored and some of it would be missed; else empty.
std::vector<NamedTensor> worth_asking_for(const WeightSource& source, const Family& family,
                                          std::vector<NamedTensor> kind) {
  const bool whole = std::ranges::all_of(
      kind, [&](const NamedTensor& tensor) { return source.contains(tensor.name); });
  const bool missed = whole && std::ranges::any_of(kind, [&](const NamedTensor& tensor) {
                        return !adds_nothing(source, family, tensor);
                      });
  return missed ? std::move(kind) : std::vector<NamedTensor>();
}

std::vector<NamedTensor> of_kind(Presence presence, const std::vector<NamedTensor>& all) {
  std::vector<NamedTensor> kind;
  std::ranges::copy_if(all, std::back_inserter(kind),
                       [&](const NamedTensor& tensor) { return tensor.presence == presence; });
  return kind;
}

void check_asked_for(const WeightSource& source, const NamedTensor& tensor,
                     const ModelConfig& config) {
  require(source.contains(tensor.name), "{}: missing; config.json ({}) asks for it", tensor.name,
          config.architecture);
  const WeightInfo found = source.info(tensor.name);
  require(is_weight_dtype(found.dtype),
          "{}: expected float32, float16 or bfloat16 numbers, found {}", tensor.name,
          c10::toString(found.dtype));
  require(found.shape == tensor.shape, "{}: expected shape [{}] by config.json, found [{}]",
          tensor.name, fmt::join(tensor.shape, ", "), fmt::join(found.shape, ", "));
}

}  // namespace

void fit_to_stored(const WeightSource& source, const Family& family, ModelConfig& config) {
  const std::vector<NamedTensor> all = tensors_of(family, config);
  for (const Unasked& unasked : kUnasked) {
    if (is_present(unasked.presence, config)) continue;
    const auto kind = worth_asking_for(source, family, of_kind(unasked.presence, all));
    if (kind.empty()) continue;
    config.*unasked.option = unasked.value;
    config.unasked[unasked.key] = unasked.value;
    config.notes.push_back(fmt::format(
        "{}{} stored, yet config.json does not say {} = {}: used, and an output's config.json says "
        "it",
        kind.front().name,
        kind.size() == 1 ? " is" : fmt::format(" and {} more of its kind are", kind.size() - 1),
        unasked.key, unasked.value));
  }
}

void check_tensors(const WeightSource& source, const Family& family, const ModelConfig& config) {
  std::map<std::string, NamedTensor> known;
  for (const NamedTensor& tensor : tensors_of(family, config)) {
    if (is_present(tensor.presence, config)) check_asked_for(source, tensor, config);
    known.emplace(tensor.name, tensor);
  }
  for (const std::string& name : source.names()) {
    const auto found = known.find(name);
    const bool ignored = std::ranges::any_of(
        family.ignored, [&](const char* suffix) { return name.ends_with(suffix); });
    require(ignored || found != known.end(),
            "{}: not a tensor of {} with {} layers; the model would not be computed as its author "
            "meant",
            printable(name), config.architecture, config.layers);
    require(ignored || is_present(found->second.presence, config) ||
                adds_nothing(source, family, found->second),
            "{}: stored, but config.json ({}) asks for no such tensor; the model would not be "
            "computed as its author meant",
            name, config.architecture);
  }
}

}  // namespace halftone
