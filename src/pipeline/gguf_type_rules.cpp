#include "pipeline/gguf_type_rules.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "checkpoint/gguf_architecture.h"
#include "format/gguf_blocks.h"

namespace halftone {
namespace {

// What a linear gets in place of the type that was asked for; the type itself if its rows allow it.
const GgufType& held_type(const GgufType& asked, const LinearSlot& linear) {
  if (linear.in % asked.block_length == 0) return asked;
  const GgufType* other = gguf_fallback(asked);
  require(other != nullptr && linear.in % other->block_length == 0,
          "type {}: {} has {} input columns, not a multiple of {}{}", asked.name, linear.name,
          linear.in, asked.block_length,
          other ? fmt::format(", nor of the {} of {}", other->block_length, other->name) : "");
  return *other;
}

// Linears of one type in place of another.
struct Substitutes {
  std::set<int64_t> columns;
  int64_t linears = 0;
};

std::string describe_substitutes(const TypeOfLinear& asked,
                                 const std::vector<LinearSlot>& linears) {
  using TypePair = std::pair<const GgufType*, const GgufType*>;  // asked for, got
  std::map<TypePair, Substitutes> substitutes;
  for (const LinearSlot& linear : linears) {
    const GgufType &wanted = asked(linear), &type = held_type(wanted, linear);
    if (&type == &wanted) continue;
    Substitutes& found = substitutes[{&wanted, &type}];
    found.linears += 1;
    found.columns.insert(linear.in);
  }
  std::string note;
  for (const auto& [types, found] : substitutes) {
    const GgufType &wanted = *types.first, &type = *types.second;
    note += fmt::format(
        "{}{} of {} linears are {} ({:.4g} bits a weight) in place of {} ({:.4g}), whose blocks "
        "of {} do not divide {} columns",
        note.empty() ? "" : "; ", found.linears, linears.size(), type.name, type.bits_per_weight(),
        wanted.name, wanted.bits_per_weight(), wanted.block_length, fmt::join(found.columns, ", "));
  }
  return note;
}

// One rule for the linears of a name in all blocks, where they are alike.
std::vector<RecipeRule> rules_for(const GgufType& common, const TypeOfLinear& asked,
                                  const std::vector<LinearSlot>& linears, auto&& settings_of) {
  std::map<std::string, std::set<const GgufType*>> of_name;
  for (const LinearSlot& linear : linears)
    of_name[linear.relative].insert(&held_type(asked(linear), linear));
  std::vector<RecipeRule> rules;
  std::set<std::string> done;
  for (const LinearSlot& linear : linears) {
    const GgufType& type = held_type(asked(linear), linear);
    const bool alike = of_name[linear.relative].size() == 1;
    const std::string match = alike ? "*." + linear.relative : linear.name;
    if (&type != &common && done.insert(match).second)
      rules.push_back({.match = match, .settings = settings_of(type)});
  }
  return rules;
}

// "blk.3.attn_v.weight": 3, "attn_v".
struct BlockTensor {
  int64_t block = 0;
  std::string name;
};

BlockTensor block_tensor(const GgufArchitecture& architecture, const LinearSlot& linear) {
  const std::string name = gguf_name(architecture, linear.name + ".weight").value_or("");
  const size_t first = name.find('.'), second = name.find('.', first + 1), last = name.rfind('.');
  require(second != std::string::npos && second < last, "{}: architecture {} has no such tensor",
          linear.name, architecture.name);
  return {std::stoll(name.substr(first + 1)), name.substr(second + 1, last - second - 1)};
}

}  // namespace

const GgufType& gguf_grid_type(const std::string& option, const std::string& name) {
  const GgufType* type = find_gguf_type(name);
  require(type != nullptr && !gguf_grid_settings(*type, true).empty(),
          "{}: expected one of {}, found {}", option, gguf_grid_types(), printable(name));
  return *type;
}

TypedRecipe with_gguf_types(Recipe recipe, const GgufType& common, const TypeOfLinear& asked,
                            const std::vector<LinearSlot>& linears) {
  const bool compensated = recipe.common.objective.kind != ObjectiveKind::kNone;
  const auto settings_of = [&](const GgufType& type) {
    return gguf_grid_settings(type, compensated);
  };
  for (const auto& [key, text] : settings_of(common)) apply_setting(recipe, key + "=" + text);
  const std::vector<RecipeRule> rules = rules_for(common, asked, linears, settings_of);
  recipe.rules.insert(recipe.rules.begin(), rules.begin(), rules.end());
  return {std::move(recipe), describe_substitutes(asked, linears)};
}

TypedRecipe with_gguf_type(Recipe recipe, const std::string& type,
                           const std::vector<LinearSlot>& linears) {
  const GgufType& asked = gguf_grid_type("--type", type);
  return with_gguf_types(
      std::move(recipe), asked, [&](const LinearSlot&) -> const GgufType& { return asked; },
      linears);
}

TypedRecipe with_mix(Recipe recipe, const Mix& mix, const ModelConfig& config,
                     const std::vector<LinearSlot>& linears) {
  const GgufArchitecture& architecture = gguf_architecture_for(config.architecture);
  const std::string option = "mix " + mix.name;
  const auto type_of = [&](const LinearSlot& linear) -> const GgufType& {
    const BlockTensor tensor = block_tensor(architecture, linear);
    return gguf_grid_type(option, mix.type_of(tensor.name, tensor.block, config.layers,
                                              config.heads / config.kv_heads));
  };
  return with_gguf_types(std::move(recipe), gguf_grid_type(option, mix.type), type_of, linears);
}

}  // namespace halftone
