#include "pipeline/described_model.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/dtype.h"
#include "format/plain_model.h"
#include "model/compute.h"
#include "model/family.h"

namespace halftone {
namespace {

at::ScalarType type_in(const nlohmann::json& config) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto named = config.find(key);
    if (named == config.end() || !named->is_string()) continue;
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble})
      if (dtype_name(type) == named->get<std::string>()) return type;
    fail("{}: expected float32, bfloat16, float16 or float64, found {}", key,
         printable(named->dump()));
  }
  return at::kFloat;
}

class Description final : public ModelSource {
 public:
  explicit Description(std::filesystem::path folder)
      : folder_(std::move(folder)),
        config_(read_json(folder_ / "config.json")),
        type_(type_in(config_)) {
    const Family& family = find_family(architecture_of(config_));
    const ModelConfig config = family.parse_config(config_);
    for (NamedTensor& tensor : tensors_of(family, config))
      if (is_present(tensor.presence, config))
        shapes_.emplace(std::move(tensor.name), std::move(tensor.shape));
  }

  const std::filesystem::path& path() const override { return folder_; }
  std::vector<std::filesystem::path> files() const override { return {folder_ / "config.json"}; }
  std::optional<std::filesystem::path> companion_folder() const override { return folder_; }
  const nlohmann::json& config() const override { return config_; }
  bool contains(std::string_view name) const override { return shapes_.contains(name); }
  void release(std::string_view) const override {}
  std::vector<std::string> notes() const override {
    return {shown(folder_) + ": no weights, planned from config.json alone"};
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, shape] : shapes_) names.push_back(name);
    return names;
  }

  WeightInfo info(std::string_view name) const override { return {shape_of(name), type_}; }

  StoredInfo stored_info(std::string_view name) const override {
    return {.dtype = std::string(find_dtype(type_)->name),
            .shape = shape_of(name),
            .bytes = bytes_of(shape_of(name))};
  }

  size_t stored_bytes() const override {
    size_t bytes = 0;
    for (const auto& [name, shape] : shapes_) bytes += bytes_of(shape);
    return bytes;
  }

  at::Tensor load(std::string_view name) const override { refuse(name); }
  std::span<const std::byte> stored_data(std::string_view name) const override { refuse(name); }

 private:
  const std::vector<int64_t>& shape_of(std::string_view name) const {
    const auto found = shapes_.find(name);
    require(found != shapes_.end(), "{}: the model has no such tensor", printable(name));
    return found->second;
  }
  size_t bytes_of(const std::vector<int64_t>& shape) const {
    return static_cast<size_t>(c10::multiply_integers(shape)) * c10::elementSize(type_);
  }
  [[noreturn]] void refuse(std::string_view name) const {
    fail("{}: {}: expected weights, found config.json alone", shown(folder_), printable(name));
  }

  std::filesystem::path folder_;
  nlohmann::json config_;
  at::ScalarType type_;
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes_;
};

bool holds_weights(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") return true;
  return false;
}

}  // namespace

bool is_description(const std::filesystem::path& place) {
  std::error_code error;
  return std::filesystem::is_regular_file(place / "config.json", error) && !holds_weights(place);
}

std::shared_ptr<const PackedModel> described_model(const std::filesystem::path& folder) {
  return with_path(folder, [&]() -> std::shared_ptr<const PackedModel> {
    return plain_model(std::make_shared<const Description>(folder));
  });
}

}  // namespace halftone
