// What a linear must be before it is packed.
#pragma once

#include <string>
#include <string_view>

#include "format/format.h"

namespace halftone {

// Errors: shapes, types or numbers that are no grid (a code above 2^bits - 1, a group out of range,
// a scale that is not finite, an outlier that is no float16, ...).
void check_linear(const QuantizedLinear& linear);

// Errors: not what was planned.   linear: checked
void check_planned(const QuantizedLinear& linear, const LinearPlan& plan);

// Why no format can take the plan: the type of the model, or a source tensor of another shape.
// Empty if fine.
std::string common_refusal(const OutputPlan& plan);

}  // namespace halftone
