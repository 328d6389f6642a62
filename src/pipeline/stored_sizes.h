// What linears will take in an output's files, without quantizing them. What the plan alone does
// not tell (format/stored_size.h: other grids, outliers) is found by quantizing and writing some
// small linears of the same kind and counting their files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "format/format.h"
#include "recipe/recipe.h"

namespace halftone {

// Bytes of each planned linear's weight, in the plan's order. Of samples exact where what is stored
// grows in proportion with rows and columns; outliers are taken at the rate of random weights.
// Errors: those of the format's writer; no room for temporary files.
std::vector<double> stored_sizes(const Format& format, const OutputPlan& plan,
                                 const RunRecipe& recipe);

}  // namespace halftone
