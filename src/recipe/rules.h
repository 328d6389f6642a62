// What a recipe may ask for: which numbers make sense at all, what excludes what and what needs
// what. Tables (rules.cpp, grid_rules.cpp), looked at once when a run's recipe has been resolved;
// the rooms behind it take a recipe that holds these for granted.
#pragma once

#include <cstdint>

#include "recipe/linear_recipe.h"
#include "recipe/model_recipe.h"
#include "recipe/recipe.h"

namespace halftone {

// Error: what is asked of one linear excludes itself. The line names the keys and what is expected.
// rows, columns: of the linear; runs of rows (objective.row_groups) and super-blocks must be such
// that they can be stored; 0: not known
void require_linear(const LinearRecipe& linear, const ModelRecipe& model = {}, int64_t rows = 0,
                    int64_t columns = 0);

// Error: what is asked of the model excludes itself.
void require_model(const ModelRecipe& model);

// Error: too few calibration sequences for those that some linear holds out.
void require_sequences(const RunRecipe& run, int64_t sequences);

}  // namespace halftone
