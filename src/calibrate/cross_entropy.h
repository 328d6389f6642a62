// The gradient of next-token cross-entropy at the logits, in place where one pass over each row
// will do: logits are the widest tensor there is.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

// d loss / d logits = softmax(logits) - one-hot(label) in the logits' dtype; may reuse their
// memory. logits: (positions, vocab); labels: (positions) int64; loss: (positions) float64,
// overwritten, nats
at::Tensor differentiate_cross_entropy(at::Tensor logits, const at::Tensor& labels,
                                       at::Tensor& loss);

}  // namespace halftone
