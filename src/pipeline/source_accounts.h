// What of a model has become what in an output that was made from it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/progress.h"
#include "pipeline/opened_model.h"

namespace halftone {

// Every tensor outside the quantized linears is there, in its shape and, unless the model was
// rotated or the file holds a coarser type, with its numbers; every linear is there in its shape.
// Says how many of which.   Errors: the first that is not.
std::string account_tensors(const OpenedModel& output, const OpenedModel& source, bool rotated);

// How far the linears' weights are from the source's, |W' - W|^2 / |W|^2: a row each goes to
// `rows`. Both are in one basis.   Error: the worst of those that are further off than zeros.
std::string account_linears(const OpenedModel& output, const OpenedModel& source,
                            Progress& progress, nlohmann::json& rows);

// The tokenizer's files and the like are those of the source, byte for byte.   Errors: the first
// that is absent or differs.
std::string account_companions(const OpenedModel& output, const OpenedModel& source);

}  // namespace halftone
