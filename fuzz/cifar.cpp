// CIFAR-10's records.
#include "fuzz_entry.h"
#include "image/image_set.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::NamedFile file("images.bin");
  return fuzz::check([&] {
    const auto images = open_images(file.holding(fuzz::text_of(data, size)), {"a", "b", "c"});
    for (int64_t i = 0; i < images->count(); ++i) {
      fuzz::expect(images->label(i) < 3);
      (void)images->read(i);
    }
  });
}
