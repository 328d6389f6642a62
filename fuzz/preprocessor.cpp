// preprocessor_config.json, and a small image through it.
#include "image/preprocessor.h"

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  constexpr int64_t kMostPixels =
      4096;  // that are made: a config may ask for thousands of millions
  return fuzz::check([&] {
    const nlohmann::json config = nlohmann::json::parse(data, data + size, nullptr, false);
    if (config.is_discarded()) return;
    const Preprocessor preprocessor = parse_preprocessor(config);
    (void)preprocessor.description();
    const auto& to = preprocessor.resize;
    if (to && to->width * to->height > kMostPixels) return;
    (void)preprocessor.apply({3, 2, std::vector<uint8_t>(18, 200)});
  });
}
