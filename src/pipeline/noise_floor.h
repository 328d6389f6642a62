// Below which divergence two models differ by no more than their arithmetic.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "evaluate/score.h"

namespace halftone {

// The reference in bfloat16 against itself in float32, on the first windows of a text.
struct NoiseFloor {
  double kl = 0, top1 = 0;
  int64_t windows = 0;
};

// Adds `noise_floor` to an evaluation in float32 whose KL is small enough for it to matter. Left
// out where bfloat16 would be hopelessly slow on this machine, and where the floor is below a tenth
// of the KL or nothing differs at all. `known`: of the same reference and windows, filled in by the
// first that needs it.
void add_noise_floor(const Model& reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress,
                     std::optional<NoiseFloor>& known, nlohmann::json& result);

}  // namespace halftone
