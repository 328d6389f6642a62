// tokenizer_config.json beside a tokenizer: its settings and its chat template.
#include "fuzz_entry.h"
#include "text/chat_template.h"
#include "text/tokenizer_settings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::NamedFile file("tokenizer_config.json");
  const auto folder = file.holding(fuzz::text_of(data, size)).parent_path();
  fuzz::check([&] { (void)chat_template_of(folder); });
  return fuzz::check([&] { (void)read_tokenizer_settings(folder); });
}
