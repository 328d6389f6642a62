// Images as sequences: a position is a patch, with the class tokens' positions before those of the
// patches, so that every length in the house is the residual stream's.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/config.h"

namespace halftone {

// images: (batch, channels, height, width) -> (batch, positions, patch numbers): patches row by
// row, of each its channels one after another, as the weights of a convolution lie; zeros where the
// class tokens stand
at::Tensor patches_of(const at::Tensor& images, const ImageSizes& sizes);

}  // namespace halftone
