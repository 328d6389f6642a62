// A mix of GGUF types.
#include "recipe/mix.h"

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const Mix mix = parse_mix(fuzz::text_of(data, size), "fuzz");
    (void)mix.type_of("attn_v", 3, 12, 4);
  });
}
