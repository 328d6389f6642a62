// What linears will take in an output's files, without quantizing them: some small ones of the same
// kind are quantized and written, and their files counted, so that no second place knows what a
// format stores.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "format/format.h"
#include "recipe/recipe.h"

namespace halftone {

// Bytes of each planned linear's weight, in the plan's order. Exact where what is stored grows in
// proportion with rows and columns; outliers are taken at the rate of random weights.
// Errors: those of the format's writer; no room for temporary files.
std::vector<double> stored_sizes(const Format& format, const OutputPlan& plan,
                                 const RunRecipe& recipe);

}  // namespace halftone
