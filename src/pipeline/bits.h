// Bits per weight of a model folder, from the bytes that are stored (methods.md 10).
#pragma once

#include <nlohmann/json.hpp>

#include "format/format.h"
#include "model/model.h"

namespace halftone {

// {quantized, quoted, model}: stored bits of the quantized linears' weights over their number; the
// papers' count of the same; stored bits of all tensors over all parameters (tied ones once). A
// folder without quantized linears counts its dtype.
nlohmann::json bits_of(const PackedModel& weights, const Model& model);

}  // namespace halftone
