// PNG by libpng. Its errors leave by longjmp, so nothing with a destructor may live in the frames
// between setjmp and the library: Decoder owns everything and lies outside of them.
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>

#include "base/error.h"
#include "image/image.h"

namespace halftone {
namespace {

struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> left;  // of the file
  Image image;
  std::vector<png_bytep> rows;
  std::string error;

  explicit Decoder(std::span<const std::byte> file) : left(file) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
};

void keep_error(png_structp png, png_const_charp message) {
  static_cast<Decoder*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

void read_bytes(png_structp png, png_bytep to, size_t count) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (decoder->left.size() < count) png_error(png, "the file is cut short");
  std::memcpy(to, decoder->left.data(), count);
  decoder->left = decoder->left.subspan(count);
}

// Whatever is stored, as three bytes a pixel.
void ask_for_rgb(png_structp png, png_infop info) {
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  (void)png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

bool read_header(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png))) return false;
  png_set_read_fn(decoder.png, &decoder, read_bytes);
  png_set_user_limits(decoder.png, kLargestSide, kLargestSide);
  png_read_info(decoder.png, decoder.info);
  ask_for_rgb(decoder.png, decoder.info);
  return true;
}

bool read_pixels(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png))) return false;
  png_read_image(decoder.png, decoder.rows.data());
  png_read_end(decoder.png, nullptr);
  return true;
}

void make_room(Decoder& decoder) {
  Image& image = decoder.image;
  image.width = png_get_image_width(decoder.png, decoder.info);
  image.height = png_get_image_height(decoder.png, decoder.info);
  require_image_size(image.width, image.height);
  const auto row = static_cast<size_t>(3 * image.width);
  require(png_get_rowbytes(decoder.png, decoder.info) == row,
          "PNG: expected {} bytes a row once it is RGB, found {}", row,
          png_get_rowbytes(decoder.png, decoder.info));
  image.rgb.resize(row * static_cast<size_t>(image.height));
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y)
    decoder.rows.push_back(image.rgb.data() + y * row);
}

}  // namespace

Image decode_png(std::span<const std::byte> file) {
  Decoder decoder(file);
  const auto ignore = [](png_structp, png_const_charp) {};
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, keep_error, ignore);
  if (decoder.png) decoder.info = png_create_info_struct(decoder.png);
  require(decoder.info != nullptr, "PNG: the library cannot be set up, likely no memory");
  const auto refuse = [&] { fail("PNG: {}", printable(decoder.error)); };
  if (!read_header(decoder)) refuse();
  make_room(decoder);
  if (!read_pixels(decoder)) refuse();
  return std::move(decoder.image);
}

}  // namespace halftone
