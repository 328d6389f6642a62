#include "pipeline/inspect.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/gguf_file.h"
#include "pipeline/bits.h"
#include "pipeline/opened_model.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

using nlohmann::json;

json tensor_json(const std::string& name, const StoredInfo& stored) {
  return {
      {"name", name}, {"dtype", stored.dtype}, {"shape", stored.shape}, {"bytes", stored.bytes}};
}

// Of a file that holds types of its own: how many of the linears are quantized, tensors by type.
void add_types(const OpenedModel& opened, json& result) {
  const ModelSource& source = opened.weights->source();
  json types = json::object();
  for (const std::string& name : source.names()) {
    json& count = types[source.stored_info(name).dtype];
    count = count.is_null() ? 1 : count.get<int>() + 1;
  }
  const std::vector<LinearSlot> linears = opened.model.linears();
  result["quantized_linears"] =
      std::count_if(linears.begin(), linears.end(), [&](const LinearSlot& linear) {
        const GgufType* type = find_gguf_type(source.stored_info(linear.name + ".weight").dtype);
        return type != nullptr && type->is_block();
      });
  result["types"] = std::move(types);
}

json inspect_model(const std::filesystem::path& path, bool with_tensors) {
  const OpenedModel opened(path);
  const ModelConfig& config = opened.model.config();
  const bool is_file = std::filesystem::is_regular_file(path);
  json result = {{"kind", is_file ? "model file" : "model folder"},
                 {"format", opened.weights->format()},
                 {"family", opened.model.family().name},
                 {"architecture", config.architecture},
                 {"parameters", opened.model.parameters()},
                 {"dtype", dtype_name(opened.model.dtype())},
                 {"layers", config.layers},
                 {"hidden", config.hidden},
                 {"intermediate", config.intermediate},
                 {"heads", config.heads},
                 {"kv_heads", config.kv_heads},
                 {"head_dim", config.head_dim},
                 {"vocab", config.vocab},
                 {"context", config.context},
                 {"tied_embeddings", config.tied_embeddings},
                 {"quantized_linears", opened.quantized_linears()},
                 {"bits_per_weight", bits_of(*opened.weights, opened.model)},
                 {"bytes", opened.weights->source().stored_bytes()}};
  if (is_file) add_types(opened, result);
  if (const auto notes = opened.notes(); !notes.empty()) result["notes"] = notes;
  if (with_tensors) {
    result["tensors"] = json::array();
    const ModelSource& source = opened.weights->source();
    for (const std::string& name : source.names())
      result["tensors"].push_back(tensor_json(name, source.stored_info(name)));
  }
  return result;
}

json inspect_safetensors(const std::filesystem::path& path, bool with_tensors) {
  const SafetensorsFile file(path);
  json result = {{"kind", "safetensors"},
                 {"bytes", file.file().bytes().size()},
                 {"tensor_count", file.tensors().size()},
                 {"metadata", file.metadata()}};
  if (with_tensors) {
    result["tensors"] = json::array();
    for (const StoredTensor& tensor : file.tensors())
      result["tensors"].push_back(
          tensor_json(tensor.name, {tensor.dtype, tensor.shape, tensor.end - tensor.begin}));
  }
  return result;
}

json inspect_recipe(const std::filesystem::path& path) {
  const Recipe recipe = parse_recipe(read_file(path, size_t{1} << 20), path.stem().string());
  return {{"kind", "recipe"},
          {"name", recipe.name},
          {"summary", recipe.summary},
          {"paper", recipe.paper},
          {"recipe", to_toml(recipe)}};
}

}  // namespace

json inspect_path(const std::filesystem::path& path, bool with_tensors) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error) || is_gguf(path))
    return inspect_model(path, with_tensors);
  const std::string type = path.extension().string();
  if (type == ".safetensors") return inspect_safetensors(path, with_tensors);
  if (type == ".toml") return inspect_recipe(path);
  require(std::filesystem::exists(path, error), "{}: does not exist", path.string());
  fail("{}: expected a model folder, a .gguf, a .safetensors or a .toml file", path.string());
}

}  // namespace halftone
