// --type and --mix: a recipe whose linears get the grids of GGUF types.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/gguf_blocks.h"
#include "model/model.h"
#include "recipe/mix.h"
#include "recipe/recipe.h"

namespace halftone {

struct TypedRecipe {
  Recipe recipe;
  std::string note;  // which linears get another type, and why; empty: all get the one asked for
};

// Of a type that there is a grid for. Error naming `option`: none such.
const GgufType& gguf_grid_type(const std::string& option, const std::string& name);

// The type's grid in the common part, and ahead of the recipe's own rules one for the linears of
// each name that get another: that of `asked`, or what stands in for it where their rows are no
// whole number of its blocks (gguf_fallback). So the recipe of the report says what was done.
// Errors: rows that the substitute cannot have either.
using TypeOfLinear = std::function<const GgufType&(const LinearSlot&)>;
TypedRecipe with_gguf_types(Recipe recipe, const GgufType& common, const TypeOfLinear& asked,
                            const std::vector<LinearSlot>& linears);

// --type
TypedRecipe with_gguf_type(Recipe recipe, const std::string& type,
                           const std::vector<LinearSlot>& linears);
// --mix
TypedRecipe with_mix(Recipe recipe, const Mix& mix, const ModelConfig& config,
                     const std::vector<LinearSlot>& linears);

}  // namespace halftone
