// Bits per weight of a model, from the bytes that are stored (methods.md 10).
#pragma once

#include "format/format.h"
#include "model/model.h"
#include "report/written_totals.h"

namespace halftone {

// Stored bits of the blocks' quantized linears over their number; the papers' count of the same;
// stored bits of all tensors over all parameters (tied ones once). A model without quantized
// linears counts its dtype.
BitsPerWeight bits_of(const PackedModel& weights, const Model& model);

}  // namespace halftone
