// What the formats are told of a model before its first tensor comes.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "format/format.h"
#include "pipeline/opened_model.h"

namespace halftone {

// Everything but the linears, and what is said of those.   config: of the output; one that does not
// say float64 takes its place where weights are written as float32
OutputPlan plan_output(const OpenedModel& source, nlohmann::json config);

// Says which tensors there are besides the linears' weights. weights: what they are loaded from
void plan_others(const WeightSource& weights, const std::vector<std::string>& names,
                 OutputPlan& plan);

// Bytes that a tensor beside the linears takes in this format.
double stored_bytes(std::string_view format, const OutputPlan& plan, const PlannedTensor& tensor);

// Bytes that the codes of these linears take, at least.
double code_bytes(std::span<const LinearPlan> linears);
// With what lies beside so many bytes of weights: headers, config and tokenizer files.
size_t bytes_on_disk(double bytes);

}  // namespace halftone
