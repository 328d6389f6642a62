// Images in another size, bit for bit as PIL's Image.resize gives them (Pillow 11): a filter as
// wide as the step between the new pixels, columns first, weights of 22 bits, 8 bits in between.
#pragma once

#include "image/image.h"

namespace halftone {

// By their numbers in preprocessor_config.json (PIL.Image.Resampling).
enum class ResampleFilter { kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

Image resized(const Image& image, int64_t width, int64_t height, ResampleFilter filter);

}  // namespace halftone
