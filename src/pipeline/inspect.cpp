#include "pipeline/inspect.h"

#include "base/error.h"
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

json inspect_folder(const std::filesystem::path& path, bool with_tensors) {
  const OpenedModel opened(path);
  const ModelConfig& config = opened.model.config();
  json result = {{"kind", "model folder"},
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
                 {"quantized_linears", opened.weights->linears().size()},
                 {"bits_per_weight", bits_of(*opened.weights, opened.model)},
                 {"bytes", opened.weights->source().stored_bytes()}};
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
  if (std::filesystem::is_directory(path, error)) return inspect_folder(path, with_tensors);
  const std::string type = path.extension().string();
  if (type == ".safetensors") return inspect_safetensors(path, with_tensors);
  if (type == ".toml") return inspect_recipe(path);
  require(std::filesystem::exists(path, error), "{}: does not exist", path.string());
  fail("{}: expected a model folder, a .safetensors or a .toml file", path.string());
}

}  // namespace halftone
