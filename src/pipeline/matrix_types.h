// --embedding and --head: what the matrices outside the blocks are stored as. In a GGUF file they
// have its types, in a folder a number of bits on a uniform grid.
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
  // Of a GGUF file, by name: "lm_head.weight".
  std::map<std::string, const GgufType*> types = {};
  std::string note = {};  // where a mix's type gives way to one whose blocks divide the rows
  // How those are quantized that do not take ggml's plain rounding; of a folder all.
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

// Of a folder: what was asked for, on the recipe's grid where that is uniform, else in groups
// of 64. Errors: no number of bits; two for one matrix. measured: as of choose_recipes
MatrixTypes matrix_widths(const Recipe& recipe, const Family& family, const ModelConfig& config,
                          const std::string& embedding, const std::string& head, bool measured);

// Says how those of a GGUF file are quantized: the head by the grid of its type and all else that
// the recipe says of a linear called as it is, but by the inputs alone where the recipe's objective
// follows the end loss. A head that is the embedding as well has no target. Rows of an embedding
// are rounded to nearest: what a token counts changes nothing within its row.
// measured: whether the head's inputs are going to be known
void choose_recipes(const Recipe& recipe, const Family& family, const ModelConfig& config,
                    bool measured, MatrixTypes& types);

// Says of each tensor of the plan what it gets; in a file the head comes last.
void plan_matrix_types(const MatrixTypes& types, OutputPlan& plan);

// What they become by name, as it is reported.
std::map<std::string, std::string> names_of(const MatrixTypes& types);

}  // namespace halftone
