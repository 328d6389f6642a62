// Grids as blocks of a GGUF file (formats.md 12): the same weights, number for number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "format/linear_plan.h"
#include "kernels/gguf_blocks.h"
#include "quantize/quantized_linear.h"

namespace halftone {

// The type whose blocks hold what this grid can stand for; nullptr if there is none.
const GgufType* gguf_type_of(const LinearPlan& linear);

// Why there is none: one line; empty if there is one.
std::string gguf_grid_refusal(const LinearPlan& linear);

// What a recipe says to get this type's own grid, as key and text: nothing for a type without one.
// compensated: errors are measured by an objective, which weighs the search for scales too
using GridSettings = std::vector<std::pair<std::string, std::string>>;
GridSettings gguf_grid_settings(const GgufType& type, bool compensated);

// The types that there are such settings for: "Q2_0, Q4_0, ...".
std::string gguf_grid_types();

// The type that takes over where rows are no whole number of blocks, as llama.cpp's quantizer
// chooses; nullptr: there is none.
const GgufType* gguf_fallback(const GgufType& type);

// Whether weights of this type are multiplied by a number beside them, the same in every file of
// ours (kNvfp4TensorScale); engines look for it beside linears of blocks alone.
bool has_tensor_scale(const GgufType& type);

// Row `row` of a linear as `type` stores it.   linear: checked, of a plan whose type this is.
// Error: a number beyond float16.
std::vector<std::byte> gguf_row(const QuantizedLinear& linear, const GgufType& type, int64_t row);

// What the file gives back of these weights: equal numbers, but zeros of the other sign where a
// type counts its codes downwards (Q2_0).   weights: (out, in) float32
at::Tensor as_decoded(const at::Tensor& weights, const GgufType& type);

}  // namespace halftone
