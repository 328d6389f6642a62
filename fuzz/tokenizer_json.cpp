// tokenizer.json, and some text through what it describes.
#include "fuzz_entry.h"
#include "text/hf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const HfTokenizer tokenizer(parse_json(fuzz::text_of(data, size)), TokenizerSettings{});
    for (const std::string_view text :
         {"Once upon a time,\n\n there were 123 naïve 猫!\t<s>", ""}) {
      const std::vector<TokenId> ids = tokenizer.encode(text, true);
      (void)tokenizer.decode(ids, false);
    }
    (void)tokenizer.piece(0);
  });
}
