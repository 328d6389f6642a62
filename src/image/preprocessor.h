// preprocessor_config.json: how an image becomes the numbers that a vision transformer reads.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/resample.h"

namespace halftone {

struct Preprocessor {
  struct Size {
    int64_t width = 0, height = 0;
  };
  std::optional<Size> resize, crop;  // around the middle; none: as it is
  ResampleFilter filter = ResampleFilter::kBilinear;
  double scale = 1;  // times each byte
  std::array<double, 3> mean = {0, 0, 0}, deviation = {1, 1, 1};

  // The image in its size, its numbers scaled and normalized.
  struct Pixels {
    Size size;
    std::vector<float> numbers;  // (3, height, width)
  };
  Pixels apply(const Image& image) const;
  // In one line, for reports: what tells two of them apart.
  std::string description() const;
};

// As transformers' ViTImageProcessor and DeiTImageProcessor read it (4.57), old spellings (a size
// of one number, feature extractors) included. Errors: a size by its shortest edge, a filter that
// is not known, a crop beyond the size, numbers that are none.
Preprocessor parse_preprocessor(const nlohmann::json& config);

}  // namespace halftone
