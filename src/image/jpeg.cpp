// JPEG by libjpeg-turbo, with its own defaults, which are PIL's too. Its errors leave by longjmp:
// see png.cpp.
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include "base/error.h"
#include "image/image.h"

// The library's headers stand on those above, and each on the one before.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

namespace halftone {
namespace {

// A progressive file's: encoders make some ten. Each costs as much as the whole image and may take
// a few bytes.
constexpr int kMostScans = 100;

struct Decoder {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg_progress_mgr progress = {};
  std::jmp_buf out;
  std::array<char, JMSG_LENGTH_MAX> error = {};
  Image image;

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
};

void leave(j_common_ptr jpeg) {
  auto* decoder = static_cast<Decoder*>(jpeg->client_data);
  (*jpeg->err->format_message)(jpeg, decoder->error.data());
  std::longjmp(decoder->out, 1);
}

// Pixels that are made up for what is missing are no image; other warnings change none.
void refuse_missing_data(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  const bool missing = code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER ||
                       code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE;
  if (level < 0 && missing) leave(jpeg);
}

void refuse_many_scans(j_common_ptr jpeg) {
  auto* decoder = static_cast<Decoder*>(jpeg->client_data);
  if (decoder->jpeg.input_scan_number <= kMostScans) return;
  *fmt::format_to_n(decoder->error.data(), decoder->error.size() - 1, "more than {} scans",
                    kMostScans)
       .out = '\0';
  std::longjmp(decoder->out, 1);
}

bool read_header(Decoder& decoder, std::span<const std::byte> file) {
  if (setjmp(decoder.out)) return false;
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  (void)jpeg_read_header(&jpeg, TRUE);
  decoder.image.width = jpeg.image_width;
  decoder.image.height = jpeg.image_height;
  return true;
}

bool read_pixels(Decoder& decoder) {
  if (setjmp(decoder.out)) return false;
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  decoder.progress.progress_monitor = refuse_many_scans;
  jpeg.progress = &decoder.progress;
  jpeg.out_color_space = JCS_RGB;  // of grey images too; of four inks an error
  (void)jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = decoder.image.rgb.data() + size_t{3} * jpeg.output_scanline * jpeg.output_width;
    (void)jpeg_read_scanlines(&jpeg, &row, 1);
  }
  (void)jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> file) {
  Decoder decoder;
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.jpeg.client_data = &decoder;
  decoder.errors.error_exit = leave;
  decoder.errors.emit_message = refuse_missing_data;
  const auto refuse = [&] { fail("JPEG: {}", printable(decoder.error.data())); };
  if (!read_header(decoder, file)) refuse();
  Image& image = decoder.image;
  require_image_size(image.width, image.height);
  image.rgb.resize(static_cast<size_t>(3 * image.width * image.height));
  if (!read_pixels(decoder)) refuse();
  return std::move(image);
}

}  // namespace halftone
