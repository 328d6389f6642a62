// --embedding and --head: the types of a GGUF file's matrices outside the blocks.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "format/format.h"
#include "kernels/gguf_blocks.h"
#include "model/family.h"
#include "recipe/mix.h"
#include "recipe/recipe.h"

namespace halftone {

struct MatrixTypes {
  std::map<std::string, const GgufType*> types;  // by name: "lm_head.weight"
  std::string note;  // where a mix's type gives way to one whose blocks divide the rows
  // How those are quantized that do not take ggml's plain rounding.
  std::map<std::string, LinearRecipe> recipes = {};
  // Of these the one that the model's outputs come from, quantized behind the final norm by an
  // objective; empty: it is rounded like an embedding, or not quantized.
  std::string head = {};
};

// embedding, head: as they were asked for; empty: what the mix says, without one nothing. A model
// that has one matrix for both gets the head's type. Errors: no such type; two for one matrix; rows
// that are no whole number of blocks of a type that was asked for.
MatrixTypes matrix_types(const Family& family, const ModelConfig& config,
                         const std::string& embedding, const std::string& head,
                         const std::optional<Mix>& mix);

// Says how they are quantized: the head by the grid of its type and all else that the recipe says
// of a linear called as it is, but by the inputs alone where the recipe's objective follows the end
// loss. A head that is the embedding as well has no target. Rows of an embedding are rounded to
// nearest: what a token counts changes nothing within its row.
// measured: whether the head's inputs are going to be known
void choose_recipes(const Recipe& recipe, const Family& family, const ModelConfig& config,
                    bool measured, MatrixTypes& types);

// Says of each tensor of the plan what it gets.
void plan_matrix_types(const MatrixTypes& types, OutputPlan& plan);

// Types by name, as they are reported.
std::map<std::string, std::string> names_of(const MatrixTypes& types);

}  // namespace halftone
