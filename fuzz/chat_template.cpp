// A chat template, and a conversation through it.
#include "text/chat_template.h"

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const ChatTemplate chat(fuzz::text_of(data, size), "<s>", "</s>");
    (void)chat.render({{"system", "Be brief."}, {"user", "naïve\n 猫?"}, {"assistant", " Yes. "}});
  });
}
