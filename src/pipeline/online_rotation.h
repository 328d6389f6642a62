// How a model's online rotation reaches the formats.
#pragma once

#include "format/format.h"
#include "model/model.h"

namespace halftone {

// Fills in `online` and each linear's reads_rotated.   plan: with the model's linears
void plan_online_rotation(const Model& model, OutputPlan& plan);

}  // namespace halftone
