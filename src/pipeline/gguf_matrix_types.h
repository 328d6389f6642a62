// --embedding and --head: the types of a GGUF file's matrices outside the blocks.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "format/format.h"
#include "kernels/gguf_blocks.h"
#include "model/family.h"
#include "recipe/mix.h"

namespace halftone {

struct MatrixTypes {
  std::map<std::string, const GgufType*> types;  // by name: "lm_head.weight"
  std::string note;  // where a mix's type gives way to one whose blocks divide the rows
};

// embedding, head: as they were asked for; empty: what the mix says, without one nothing. A model
// that has one matrix for both gets the head's type. Errors: no such type; two for one matrix; rows
// that are no whole number of blocks of a type that was asked for.
MatrixTypes matrix_types(const Family& family, const ModelConfig& config,
                         const std::string& embedding, const std::string& head,
                         const std::optional<Mix>& mix);

// Says of each tensor of the plan what it gets.
void plan_matrix_types(const MatrixTypes& types, OutputPlan& plan);

// Types by name, as they are reported.
std::map<std::string, std::string> names_of(const MatrixTypes& types);

}  // namespace halftone
