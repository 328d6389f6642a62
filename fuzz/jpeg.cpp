// A JPEG file.
#include "fuzz_entry.h"
#include "image/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const Image image = decode_jpeg(fuzz::bytes_of(data, size));
    fuzz::expect(image.rgb.size() == static_cast<size_t>(3 * image.width * image.height));
  });
}
