// The keys of a recipe's table "grid" (keys.h).
#pragma once

#include <vector>

#include "recipe/keys.h"

namespace halftone {

void add_grid_keys(std::vector<RecipeKey>& keys);

}  // namespace halftone
