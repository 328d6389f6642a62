// What a model's own tensors mean for an output: numbers that are none, and types that no format
// writes.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/opened_model.h"

namespace halftone {

// Where the first number that is NaN or infinite stands, by itself or as it is written:
// "norm.weight: expected finite numbers, found nan at 3 (1 of 64 are none)"; empty: nowhere. Reads
// every tensor that is not packed.
std::string first_not_finite(const OpenedModel& opened);

// "nan", whatever its sign, or as always.
std::string number_text(double number);

// Error: that, with its likely cause.
void require_finite(const OpenedModel& opened);

// Formats hold float32, bfloat16 and float16: float64 is written as float32.
at::ScalarType written_type(at::ScalarType stored);
at::Tensor as_written(const at::Tensor& tensor);

// What a user has to know of an output of this model: notes of what was read, numbers that change
// their type, companions that are left behind. One line each.
std::vector<std::string> output_notes(const OpenedModel& opened);

}  // namespace halftone
