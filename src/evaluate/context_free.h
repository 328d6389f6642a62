// What the context is worth to a model: the yardstick of a quantized one that has collapsed.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/model.h"

namespace halftone {

// The mean KL, in nats, of the model's predictions from the mean of them all: what the best guess
// that never looks at the context diverges by at these positions.   hidden: (positions, hidden),
// the last block's output; of a classifier (images, class tokens, hidden)
double context_free_divergence(const Model& model, const Execution& execution,
                               const at::Tensor& hidden);

}  // namespace halftone
