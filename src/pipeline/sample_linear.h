// Linears of random weights, solved to see what a recipe stores and how long its grid takes.
#pragma once

#include <cstdint>

#include "quantize/linear_outcome.h"
#include "recipe/linear_recipe.h"

namespace halftone {

// A linear of `rows` by `columns` normal weights, the same ones each time, under a Hessian that is
// the identity (none, where the recipe has no objective) and without a target.
LinearOutcome solve_sample(LinearRecipe recipe, int64_t rows, int64_t columns, int threads);

}  // namespace halftone
