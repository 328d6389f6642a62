#include "checkpoint/gguf_model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/gguf_rows.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kEmbedding = "model.embed_tokens.weight", kHead = "lm_head.weight";

using Weights = std::map<std::string, GgufWeight, std::less<>>;

const GgufArchitecture& architecture_of(const GgufMetadata& metadata) {
  const auto type = metadata.text("general.type").value_or("model");
  require(type == "model", "general.type: expected model, found {}", printable(type));
  const auto name = metadata.text("general.architecture");
  require(name.has_value(), "general.architecture is missing");
  return find_gguf_architecture(*name);
}

// What no weight is made of: frequencies that old files hold, what activations are scaled by.
bool is_ignored(std::string_view name) {
  return name.ends_with(".attn_rot_embd.weight") || name.ends_with(".input_scale");
}

std::vector<double> as_numbers(const GgufFile& file, const GgufTensor& tensor) {
  const at::Tensor numbers = load_gguf({&file, &tensor}).to(at::kDouble).contiguous();
  const auto* begin = numbers.const_data_ptr<double>();
  std::vector<double> values(begin, begin + numbers.numel());
  for (const double value : values)
    require(std::isfinite(value) && value > 0, "tensor \"{}\": expected numbers above 0, found {}",
            printable(tensor.name), value);
  return values;
}

// Tensors by what they are.
struct Sorted {
  Weights weights;
  std::map<std::string, double> scales;  // by the weight's name
  std::vector<double> rope_factors;
};

void sort_tensor(const GgufArchitecture& architecture, const GgufFile& file,
                 const GgufTensor& tensor, Sorted& sorted) {
  if (tensor.name == kRopeFactorsName) {
    sorted.rope_factors = as_numbers(file, tensor);
    return;
  }
  if (is_ignored(tensor.name)) return;
  if (const auto name = hugging_face_name(architecture, tensor.name)) {
    sorted.weights[*name] = {&file, &tensor};
    return;
  }
  constexpr std::string_view kScale = ".scale";
  const std::string_view stem = std::string_view(tensor.name);
  const auto scaled =
      stem.ends_with(kScale)
          ? hugging_face_name(architecture,
                              fmt::format("{}.weight", stem.substr(0, stem.size() - kScale.size())))
          : std::nullopt;
  require(scaled.has_value(), "tensor \"{}\": not known of architecture {}", printable(tensor.name),
          architecture.name);
  const std::vector<double> scale = as_numbers(file, tensor);
  require(scale.size() == 1, "tensor \"{}\": expected one scale, found {}: not supported",
          printable(tensor.name), scale.size());
  sorted.scales[*scaled] = scale.front();
}

Sorted sorted_tensors(const GgufArchitecture& architecture,
                      const std::vector<std::shared_ptr<const GgufFile>>& parts) {
  Sorted sorted;
  for (const auto& part : parts)
    for (const GgufTensor& tensor : part->tensors())
      sort_tensor(architecture, *part, tensor, sorted);
  for (const auto& [name, scale] : sorted.scales) {
    const auto found = sorted.weights.find(name);
    require(found != sorted.weights.end(), "a scale of {}, which is not there", name);
    found->second.scale = scale;
  }
  return sorted;
}

bool has_biases(const Weights& weights, std::initializer_list<const char*> linears) {
  return std::all_of(linears.begin(), linears.end(), [&](const char* linear) {
    return weights.contains(fmt::format("model.layers.0.{}.bias", linear));
  });
}

std::string dtype_name(at::ScalarType dtype) {
  return dtype == at::kHalf       ? "float16"
         : dtype == at::kBFloat16 ? "bfloat16"
         : dtype == at::kDouble   ? "float64"
                                  : "float32";
}

GgufStored facts_of(const Sorted& sorted) {
  const Weights& weights = sorted.weights;
  const auto embedding = weights.find(kEmbedding);
  require(embedding != weights.end(), "tensor \"token_embd.weight\" is missing");
  const GgufTensor& tensor = *embedding->second.tensor;
  require(tensor.shape.size() == 2, "tensor \"token_embd.weight\": expected a matrix, found [{}]",
          fmt::join(tensor.shape, ", "));
  return {.vocabulary = tensor.shape[0],
          .own_head = weights.contains(kHead),
          .attention_biases = has_biases(weights, {"self_attn.q_proj", "self_attn.k_proj",
                                                   "self_attn.v_proj", "self_attn.o_proj"}),
          .mlp_biases = has_biases(weights, {"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}),
          .dtype = dtype_name(read_type(*tensor.type)),
          .rope_factors = sorted.rope_factors};
}

// Rows of queries and keys: whole heads, their neighbours rotating together.
void order_rows(const GgufArchitecture& architecture, const nlohmann::json& config,
                Weights& weights) {
  const int64_t head_dim = config.at("head_dim");
  require(head_dim % 2 == 0, "expected heads of an even width, found {}", head_dim);
  for (auto& [name, weight] : weights) {
    if (!has_paired_rows(architecture, name)) continue;
    const std::vector<int64_t>& shape = weight.tensor->shape;
    require(!shape.empty() && shape[0] % head_dim == 0,
            "tensor \"{}\": expected rows of whole heads of {}, found [{}]",
            printable(weight.tensor->name), head_dim, fmt::join(shape, ", "));
    weight.head_dim = head_dim;
  }
}

}  // namespace

GgufModel::GgufModel(const fs::path& path) : path_(path), parts_(open_gguf_parts(path)) {
  with_context(shown(path), [&] {
    const GgufArchitecture& architecture = architecture_of(metadata());
    Sorted sorted = sorted_tensors(architecture, parts_);
    GgufConfig config = gguf_config(architecture, metadata(), facts_of(sorted));
    config_ = std::move(config.config);
    notes_ = std::move(config.notes);
    weights_ = std::move(sorted.weights);
    if (architecture.interleaved_rope) order_rows(architecture, config_, weights_);
  });
  for (std::string& note : notes_) note = fmt::format("{}: {}", shown(path), note);
}

std::vector<fs::path> GgufModel::files() const {
  std::vector<fs::path> files;
  for (const auto& part : parts_) files.push_back(part->file().path());
  return files;
}

std::vector<std::string> GgufModel::names() const {
  std::vector<std::string> names;
  for (const auto& [name, weight] : weights_) names.push_back(name);
  return names;
}

bool GgufModel::contains(std::string_view name) const {
  return weights_.contains(name);
}

const GgufWeight& GgufModel::find(std::string_view name) const {
  const auto found = weights_.find(name);
  require(found != weights_.end(), "{}: no tensor for \"{}\"", shown(path_), printable(name, 200));
  return found->second;
}

std::string GgufModel::place(const GgufWeight& weight) const {
  return fmt::format("{}: tensor \"{}\"", shown(weight.file->file().path()),
                     printable(weight.tensor->name));
}

WeightInfo GgufModel::info(std::string_view name) const {
  const GgufTensor& tensor = stored(name);
  return {tensor.shape, read_type(*tensor.type)};
}

at::Tensor GgufModel::load(std::string_view name) const {
  const GgufWeight& weight = find(name);
  return with_context(place(weight), [&] { return load_gguf(weight); });
}

at::Tensor GgufModel::load_rows(std::string_view name, const at::Tensor& index) const {
  const GgufWeight& weight = find(name);
  const at::Tensor rows = index.to(at::kCPU, at::kLong).contiguous();
  return with_context(place(weight), [&] {
    return load_gguf_rows(weight,
                          {rows.const_data_ptr<int64_t>(), static_cast<size_t>(rows.numel())});
  });
}

void GgufModel::release(std::string_view name) const {
  const GgufWeight& weight = find(name);
  weight.file->file().release_pages(weight.file->bytes(*weight.tensor));
}

StoredInfo GgufModel::stored_info(std::string_view name) const {
  const GgufTensor& tensor = stored(name);
  return {std::string(tensor.type->name), tensor.shape, tensor.end - tensor.begin};
}

std::span<const std::byte> GgufModel::stored_data(std::string_view name) const {
  const GgufWeight& weight = find(name);
  return weight.file->bytes(*weight.tensor);
}

size_t GgufModel::stored_bytes() const {
  size_t bytes = 0;
  for (const auto& [name, weight] : weights_) bytes += weight.tensor->end - weight.tensor->begin;
  return bytes;
}

}  // namespace halftone
