// Where two models that should do the same part: each block alone, on what the blocks before it
// give in the reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/progress.h"
#include "model/model.h"

namespace halftone {

// Of one part of a model: |y' - y|^2 / |change|^2, y what the reference's part makes of an input,
// y' what the model's makes of the same one, change what the reference's adds to the stream (of the
// embedding and the head: y itself). NaN where y' is no number.
struct PartError {
  std::string name;  // "model.layers.2", or of the tensors that embed and predict
  double error = 0;
};

// Embedding, blocks, head, in this order; one block of each model in memory at a time. Both are of
// one family and of the same basis.   items: as Model::embed takes them
std::vector<PartError> part_errors(const Model& model, const Model& reference,
                                   const at::Tensor& items, const Execution& execution,
                                   Progress& progress);

}  // namespace halftone
