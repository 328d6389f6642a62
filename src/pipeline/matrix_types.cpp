#include "pipeline/matrix_types.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "format/gguf_blocks.h"
#include "recipe/recipe.h"

namespace halftone {
namespace {

constexpr int kLeastBits = 2, kMostBits = 8, kMostSearchedBits = 4;  // of a folder's matrices
constexpr int64_t kGroupSize = 64;

void require_one_matrix(bool tied, const std::string& embedding, const std::string& head) {
  require(!tied || embedding.empty() || head.empty() || embedding == head,
          "--embedding {}, --head {}: the model has one matrix for both", printable(embedding),
          printable(head));
}

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

// The type's grid in place of that of `linear`.
LinearRecipe on_grid_of(const GgufType& type, const LinearRecipe& linear) {
  Recipe recipe;
  recipe.common = linear;
  recipe.common.outliers = {};
  const bool compensated = linear.objective.kind != ObjectiveKind::kNone;
  for (const auto& [key, text] : gguf_grid_settings(type, compensated))
    apply_setting(recipe, key + "=" + text);
  recipe.common.grid.float16_scales = true;
  return recipe.common;
}

// Whether our search leaves less than ggml's plain rounding where nothing is compensated: Q8_0 is
// not searched for, and scales of Q5_1 keep six bits, so that its least values are exact.
bool search_pays(const GgufType& type) {
  return type.name != "Q8_0" && type.name != "Q5_1";
}

LinearRecipe rounding_to_nearest() {
  LinearRecipe recipe;
  recipe.objective.kind = ObjectiveKind::kNone;
  return recipe;
}

int width_of(const char* option, const std::string& text) {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  require(
      error == std::errc() && end == text.data() + text.size() && bits >= kLeastBits &&
          bits <= kMostBits,
      "{} {}: expected {} to {} bits; types are of GGUF files: add --format gguf, or end --out in "
      ".gguf",
      option, printable(text), kLeastBits, kMostBits);
  return bits;
}

GridOptions uniform_grid(int bits, const GridOptions& asked) {
  const bool uniform = asked.kind == GridKind::kUniform;
  return {.bits = bits,
          .group_size = uniform ? asked.group_size : kGroupSize,
          .symmetric = uniform && asked.symmetric,
          .clip_search = bits <= kMostSearchedBits,
          .zero_min = asked.zero_min};
}

// As of a linear whose inputs alone are known.
LinearRecipe recipe_of_head(LinearRecipe linear, bool tied) {
  const ObjectiveOptions asked = linear.objective;
  if (tied || asked.is_diagonal()) linear.target = {};
  linear.order.static_groups = true;
  if (!asked.needs_sequences()) return linear;
  linear.objective = {.kind = ObjectiveKind::kInput,
                      .damping = asked.damping,
                      .damping_reference = asked.damping_reference};
  return linear;
}

}  // namespace

MatrixTypes matrix_widths(const Recipe& recipe, const Family& family, const ModelConfig& config,
                          const std::string& embedding, const std::string& head, bool measured) {
  const bool tied = config.tied_embeddings;
  require_one_matrix(tied, embedding, head);
  const std::string of_head = tied ? family.embedding : family.head;
  MatrixTypes result;
  const auto ask = [&](const char* option, const std::string& name, const std::string& text) {
    if (text.empty()) return;
    const LinearRecipe asked = recipe.for_linear(name.substr(0, name.rfind('.')));
    const bool swept = measured && name == of_head && asked.objective.kind != ObjectiveKind::kNone;
    LinearRecipe& chosen = result.recipes[name] =
        swept ? recipe_of_head(asked, tied) : rounding_to_nearest();
    chosen.outliers = {};
    chosen.grid = uniform_grid(width_of(option, text), asked.grid);
    if (!swept) return;
    result.head = name;
    if (tied && chosen.grid.clip_search)  // nothing else weighs the columns
      chosen.grid.clip_weights = ClipWeights::kFactor;
  };
  ask("--embedding", family.embedding, embedding);
  ask("--head", of_head, head);
  return result;
}

MatrixTypes matrix_types(const Family& family, const ModelConfig& config,
                         const std::string& embedding, const std::string& head,
                         const std::optional<Mix>& mix) {
  MatrixTypes result;
  const bool tied = config.tied_embeddings;
  require_one_matrix(tied, embedding, head);
  const std::string of_embedding = family.embedding, of_head = tied ? of_embedding : family.head;
  Chooser chooser(tensors_of(family, config), result);
  if (!embedding.empty()) chooser.ask("--embedding", of_embedding, embedding);
  if (!head.empty()) chooser.ask("--head", of_head, head);
  if (!mix) return result;
  chooser.take(*mix, of_head, mix->head, true);
  chooser.take(*mix, of_embedding, mix->embedding, false);
  return result;
}

void choose_recipes(const Recipe& recipe, const Family& family, const ModelConfig& config,
                    bool measured, MatrixTypes& types) {
  const bool tied = config.tied_embeddings;
  const std::string of_head = tied ? family.embedding : family.head;
  const LinearRecipe asked = recipe.for_linear(of_head.substr(0, of_head.rfind('.')));
  const LinearRecipe head = recipe_of_head(asked, tied);
  const bool compensated = !tied && !asked.objective.is_diagonal();
  measured = measured && asked.objective.kind != ObjectiveKind::kNone;
  for (const auto& [name, type] : types.types) {
    if (gguf_grid_settings(*type, false).empty()) continue;
    const bool own = search_pays(*type);
    const bool swept = measured && name == of_head && (own || compensated);
    if (swept) types.head = name;
    if (swept || own) types.recipes[name] = on_grid_of(*type, swept ? head : rounding_to_nearest());
  }
}

void plan_matrix_types(const MatrixTypes& types, OutputPlan& plan) {
  for (PlannedTensor& tensor : plan.others) {
    const auto type = types.types.find(tensor.name);
    if (type != types.types.end()) tensor.gguf_type = type->second->name;
    const auto recipe = types.recipes.find(tensor.name);
    if (recipe == types.recipes.end()) continue;
    tensor.quantized = true;
    tensor.last = tensor.name == types.head;
    if (!plan.gguf) tensor.grid = stored_grid(recipe->second);
  }
  std::ranges::stable_partition(plan.others, [](const PlannedTensor& each) { return !each.last; });
}

std::map<std::string, std::string> names_of(const MatrixTypes& types) {
  std::map<std::string, std::string> names;
  for (const auto& [tensor, recipe] : types.recipes)
    names[tensor] = fmt::format("{} bits", recipe.grid.bits);
  for (const auto& [tensor, type] : types.types) names[tensor] = type->name;
  return names;
}

}  // namespace halftone
