#include "format/detect.h"

#include "base/error.h"
#include "format/config_fields.h"

namespace halftone {

QuantizationConfig find_quantization(const Checkpoint& checkpoint) {
  const auto& config = checkpoint.config();
  const std::filesystem::path file = checkpoint.folder() / "config.json";
  // compression_config: old compressed-tensors; quantization: MLX. Either way the weights are not
  // plain.
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) continue;
    std::string place = fmt::format("{}: {}", file.string(), key);
    require(found->is_object(), "{}: expected an object", place);
    return {*found, std::move(place)};
  }
  const std::filesystem::path beside = checkpoint.folder() / "quantize_config.json";
  if (!std::filesystem::exists(beside)) return {};
  nlohmann::json json = read_json(beside);
  require(json.is_object(), "{}: expected an object", beside.string());
  if (!json.contains("quant_method")) json["quant_method"] = "gptq";  // AutoGPTQ named none
  return {std::move(json), beside.string()};
}

std::string quantization_method(const QuantizationConfig& config) {
  if (config.json.is_null()) return "";
  return ConfigFields(config.json, config.place).text_or("quant_method", "a method without a name");
}

}  // namespace halftone
