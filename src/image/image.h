// A picture as 8-bit RGB, and how files of pictures become one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace halftone {

struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (height, width, 3)
};

// Of either side, and of all: more than any camera gives, few enough to fit into memory.
inline constexpr int64_t kLargestSide = 65500, kMostPixels = int64_t{1} << 26;
// Error: a width or height that is no number from 1 on, or beyond these.
void require_image_size(int64_t width, int64_t height);

// A PNG or JPEG file by its first bytes, as PIL opens it and converts it to RGB: transparency is
// dropped, grey repeated, 16 bits cut to 8; no colour profile and no orientation is followed.
// Errors: neither kind, cut short, damaged, too large; a JPEG that is neither grey nor YCbCr nor
// RGB.
Image decode_image(std::span<const std::byte> file);
Image decode_png(std::span<const std::byte> file);
Image decode_jpeg(std::span<const std::byte> file);

}  // namespace halftone
