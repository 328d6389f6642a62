// What a model reads: sequences of tokens or images, all of one length.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace halftone {

struct ModelInputs {
  ModelInputs() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): token ids alone are inputs
  ModelInputs(at::Tensor items_, at::Tensor labels_ = {})
      : items(std::move(items_)), labels(std::move(labels_)) {}

  // (sequences, length) int32, or of images (sequences, length, patch numbers) float32
  // (model/patches.h), on the CPU; undefined: there are none
  at::Tensor items;
  // (sequences) int64: the class of each image; undefined: of each token it is the next one
  at::Tensor labels;
};

}  // namespace halftone
