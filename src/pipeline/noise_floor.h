// Below which divergence two models differ by no more than their arithmetic.
#pragma once

#include <nlohmann/json.hpp>

#include "evaluate/score.h"

namespace halftone {

// Adds `noise_floor` to an evaluation in float32 whose KL is small enough for it to matter: the
// reference in bfloat16 against itself in float32, on the first of the windows. Left out where
// bfloat16 would be hopelessly slow on this machine, and where the floor is below a tenth of the KL
// or nothing differs at all.
void add_noise_floor(const Model& reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress, nlohmann::json& result);

}  // namespace halftone
