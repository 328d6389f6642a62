// vocab.json and, behind the first zero byte, merges.txt.
#include "text/gpt2_files.h"

#include "fuzz_entry.h"
#include "text/hf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::NamedFile vocabulary("vocab.json"), merges("merges.txt");
  const std::string_view text = fuzz::text_of(data, size);
  const size_t cut = std::min(text.find('\0'), size);
  return fuzz::check([&] {
    const auto folder = vocabulary.holding(text.substr(0, cut)).parent_path();
    merges.holding(text.substr(std::min(cut + 1, size)));
    const HfTokenizer tokenizer(read_gpt2_files(folder, {}), gpt2_settings({}));
    (void)tokenizer.encode("Once upon a time", true);
  });
}
