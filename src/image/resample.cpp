#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace halftone {
namespace {

constexpr int kWeightBits = 22;  // 32 less those of a pixel and two of reserve

double sinc(double x) {
  return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi);
}

double cubic(double x) {
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return (((x - 5) * x + 8) * x - 4) * a;
}

// How far the filter reaches to either side, in pixels of the coarser grid.
double reach(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kBox:
      return 0.5;
    case ResampleFilter::kBilinear:
    case ResampleFilter::kHamming:
      return 1;
    case ResampleFilter::kBicubic:
      return 2;
    case ResampleFilter::kLanczos:
      return 3;
  }
  return 1;
}

double weight_at(ResampleFilter filter, double x) {
  if (filter == ResampleFilter::kBox) return x > -0.5 && x <= 0.5 ? 1 : 0;
  const double far = std::abs(x);
  if (far >= reach(filter)) return 0;
  switch (filter) {
    case ResampleFilter::kBilinear:
      return 1 - far;
    case ResampleFilter::kHamming:
      return sinc(far) * (0.54 + 0.46 * std::cos(far * std::numbers::pi));
    case ResampleFilter::kBicubic:
      return cubic(far);
    default:
      return sinc(far) * sinc(far / 3);
  }
}

// What one new pixel is made of: old ones from `first` on, by their weights.
struct Mixture {
  int64_t first;
  std::vector<int32_t> weights;
};

Mixture mixture_of(int64_t pixel, double step, int64_t length, ResampleFilter filter) {
  const double scale = std::max(step, 1.0), support = reach(filter) * scale;
  const double center = (static_cast<double>(pixel) + 0.5) * step;
  const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
  const auto end = std::min<int64_t>(length, static_cast<int64_t>(center + support + 0.5));
  std::vector<double> exact;
  double sum = 0;
  for (int64_t i = first; i < end; ++i) {
    exact.push_back(weight_at(filter, (static_cast<double>(i) - center + 0.5) * (1 / scale)));
    sum += exact.back();
  }
  Mixture mixture{first, {}};
  for (double weight : exact) {
    if (sum != 0) weight *= 1 / sum;
    const double scaled = weight * (1 << kWeightBits);
    mixture.weights.push_back(static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return mixture;
}

std::vector<Mixture> mixtures(int64_t from, int64_t to, ResampleFilter filter) {
  const double step = static_cast<double>(from) / static_cast<double>(to);
  std::vector<Mixture> all;
  for (int64_t i = 0; i < to; ++i) all.push_back(mixture_of(i, step, from, filter));
  return all;
}

// pixels: bytes, `stride` apart
uint8_t mixed(const Mixture& mixture, const uint8_t* pixels, int64_t stride) {
  int64_t sum = 1 << (kWeightBits - 1);
  const uint8_t* pixel = pixels + mixture.first * stride;
  for (const int32_t weight : mixture.weights) {
    sum += int64_t{*pixel} * weight;
    pixel += stride;
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255));
}

Image with_width(const Image& image, int64_t width, ResampleFilter filter) {
  if (width == image.width) return image;
  const std::vector<Mixture> columns = mixtures(image.width, width, filter);
  Image result{width, image.height, {}};
  result.rgb.reserve(static_cast<size_t>(3 * width * image.height));
  for (int64_t y = 0; y < image.height; ++y)
    for (const Mixture& column : columns)
      for (int channel = 0; channel < 3; ++channel)
        result.rgb.push_back(mixed(column, image.rgb.data() + 3 * y * image.width + channel, 3));
  return result;
}

Image with_height(const Image& image, int64_t height, ResampleFilter filter) {
  if (height == image.height) return image;
  Image result{image.width, height, {}};
  result.rgb.reserve(static_cast<size_t>(3 * image.width * height));
  for (const Mixture& row : mixtures(image.height, height, filter))
    for (int64_t i = 0; i < 3 * image.width; ++i)
      result.rgb.push_back(mixed(row, image.rgb.data() + i, 3 * image.width));
  return result;
}

}  // namespace

Image resized(const Image& image, int64_t width, int64_t height, ResampleFilter filter) {
  return with_height(with_width(image, width, filter), height, filter);
}

}  // namespace halftone
