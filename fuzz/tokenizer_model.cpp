// tokenizer.model, and some text through what it describes.
#include "fuzz_entry.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  return fuzz::check([&] {
    const auto& path = file.holding(fuzz::text_of(data, size));
    (void)read_sentencepiece_model(path);
    const auto tokenizer = open_sentencepiece(path, TokenizerSettings{});
    const std::vector<TokenId> ids = tokenizer->encode("Once upon a time, 12 naïve 猫!", true);
    (void)tokenizer->decode(ids, false);
  });
}
