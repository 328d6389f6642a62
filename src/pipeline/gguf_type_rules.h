// --type: a recipe whose linears get the grids of a GGUF type.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"
#include "recipe/recipe.h"

namespace halftone {

struct TypedRecipe {
  Recipe recipe;
  std::string note;  // which linears get another type, and why; empty: all get the one asked for
};

// The type's grid in the common part, and ahead of the recipe's own rules one for the linears of
// each name whose rows are no whole number of its blocks (gguf_fallback). So the recipe of the
// report says what was done. Errors: a type without a grid; rows that the substitute cannot have
// either.
TypedRecipe with_gguf_type(Recipe recipe, const std::string& type,
                           const std::vector<LinearSlot>& linears);

}  // namespace halftone
