#include "image/image.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace halftone {
namespace {

constexpr std::array kPng = {0x89, 0x50, 0x4e, 0x47};
constexpr std::array kJpeg = {0xff, 0xd8, 0xff};

template <size_t N>
bool begins_with(std::span<const std::byte> file, const std::array<int, N>& bytes) {
  return file.size() >= N &&
         std::equal(bytes.begin(), bytes.end(), file.begin(),
                    [](int a, std::byte b) { return a == std::to_integer<int>(b); });
}

}  // namespace

void require_image_size(int64_t width, int64_t height) {
  const bool fits = width > 0 && height > 0 && width <= kLargestSide && height <= kLargestSide &&
                    width * height <= kMostPixels;
  require(fits, "{} x {} pixels: expected at most {} in all and {} a side", width, height,
          kMostPixels, kLargestSide);
}

Image decode_image(std::span<const std::byte> file) {
  if (begins_with(file, kPng)) return decode_png(file);
  require(begins_with(file, kJpeg), "expected a PNG or JPEG image, found {}",
          file.empty() ? "an empty file" : "neither");
  return decode_jpeg(file);
}

}  // namespace halftone
