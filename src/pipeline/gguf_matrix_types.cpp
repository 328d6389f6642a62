#include "pipeline/gguf_matrix_types.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "base/error.h"
#include "format/gguf_blocks.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

// A type that matrices can be written in, searched for or not.
const GgufType& type_named(const std::string& option, const std::string& name) {
  const GgufType* type = find_gguf_type(name);
  require(type != nullptr && (type->encode != nullptr || !gguf_grid_settings(*type, false).empty()),
          "{}: expected F32, F16, BF16 or one of {}, found {}", option, gguf_grid_types(),
          printable(name));
  require(!has_tensor_scale(*type), "{} {}: a type of linears alone", option, type->name);
  return *type;
}

bool holds(const GgufType& type, int64_t columns) {
  return columns % type.block_length == 0;
}

// In place of a mix's type, as llama.cpp's quantizer chooses; nullptr: the model's own.
const GgufType* substitute(const GgufType& type, bool head, int64_t columns) {
  const GgufType* other = head ? find_gguf_type("Q8_0") : gguf_fallback(type);
  return other != nullptr && holds(*other, columns) ? other : nullptr;
}

class Chooser {
 public:
  Chooser(std::vector<NamedTensor> tensors, MatrixTypes& result)
      : tensors_(std::move(tensors)), result_(result) {}

  // Of a type that was asked for by an option.
  void ask(const char* option, const std::string& tensor, const std::string& name) {
    const GgufType& type = type_named(option, name);
    const int64_t columns = columns_of(tensor);
    require(holds(type, columns), "{} {}: {} has rows of {}, no multiple of {}", option, name,
            tensor, columns, type.block_length);
    result_.types[tensor] = &type;
  }
  // Of a mix's type.
  void take(const Mix& mix, const std::string& tensor, const std::string& name, bool head) {
    if (result_.types.contains(tensor)) return;
    const GgufType& type = type_named("mix " + mix.name, name);
    const int64_t columns = columns_of(tensor);
    if (holds(type, columns)) {
      result_.types[tensor] = &type;
      return;
    }
    const GgufType* other = substitute(type, head, columns);
    if (other != nullptr) result_.types[tensor] = other;
    result_.note +=
        fmt::format("{}{} is {} in place of {}, whose blocks of {} do not divide {} columns",
                    result_.note.empty() ? "" : "; ", tensor, other ? other->name : "not quantized",
                    type.name, type.block_length, columns);
  }

 private:
  int64_t columns_of(const std::string& name) const {
    const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                    [&](const NamedTensor& tensor) { return tensor.name == name; });
    assert(found != tensors_.end());
    return found->shape.back();
  }

  std::vector<NamedTensor> tensors_;
  MatrixTypes& result_;
};

// The type's grid, rounded to nearest.
LinearRecipe rounding_to(const GgufType& type) {
  Recipe recipe;
  apply_setting(recipe, "objective.kind=none");
  for (const auto& [key, text] : gguf_grid_settings(type, false))
    apply_setting(recipe, key + "=" + text);
  recipe.common.grid.float16_scales = true;
  return recipe.common;
}

}  // namespace

MatrixTypes matrix_types(const Family& family, const ModelConfig& config,
                         const std::string& embedding, const std::string& head,
                         const std::optional<Mix>& mix) {
  MatrixTypes result;
  const bool tied = config.tied_embeddings;
  require(!tied || embedding.empty() || head.empty() || embedding == head,
          "--embedding {}, --head {}: the model has one matrix for both", printable(embedding),
          printable(head));
  const std::string of_embedding = family.embedding, of_head = tied ? of_embedding : family.head;
  Chooser chooser(tensors_of(family, config), result);
  if (!embedding.empty()) chooser.ask("--embedding", of_embedding, embedding);
  if (!head.empty()) chooser.ask("--head", of_head, head);
  if (!mix) return result;
  chooser.take(*mix, of_head, mix->head, true);
  chooser.take(*mix, of_embedding, mix->embedding, false);
  return result;
}

void plan_matrix_types(const MatrixTypes& types, OutputPlan& plan) {
  for (PlannedTensor& tensor : plan.others) {
    const auto found = types.types.find(tensor.name);
    if (found == types.types.end()) continue;
    const GgufType& type = *found->second;
    tensor.gguf_type = type.name;
    if (type.encode == nullptr) tensor.rounding = rounding_to(type);
  }
}

std::map<std::string, std::string> names_of(const MatrixTypes& types) {
  std::map<std::string, std::string> names;
  for (const auto& [tensor, type] : types.types) names[tensor] = type->name;
  return names;
}

}  // namespace halftone
