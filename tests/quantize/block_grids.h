// Recipes whose grids are found for 256 columns at a time.
#pragma once

#include "layers.h"

namespace halftone::testing {

inline LinearRecipe super_blocks(int bits, Levels levels = Levels::kEven) {
  const SuperBlockShape shape = super_block_shape(bits, levels);
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kSuperBlock,
                 .bits = bits,
                 .group_size = shape.group_size,
                 .symmetric = shape.symmetric,
                 .clip_search = true,
                 .clip_weights = ClipWeights::kFactor,
                 .levels = levels};
  return recipe;
}

inline LinearRecipe vectors(Codebook codebook) {
  const CodebookShape shape = codebook_shape(codebook);
  LinearRecipe recipe;
  recipe.grid = {.kind = GridKind::kVector,
                 .bits = shape.bits,
                 .group_size = shape.group_size,
                 .symmetric = true,
                 .clip_search = true,
                 .clip_weights = ClipWeights::kFactor,
                 .codebook = codebook};
  return recipe;
}

inline LinearRecipe to_nearest(LinearRecipe recipe) {
  recipe.objective.kind = ObjectiveKind::kNone;
  recipe.grid.clip_weights = ClipWeights::kNone;
  return recipe;
}

}  // namespace halftone::testing
