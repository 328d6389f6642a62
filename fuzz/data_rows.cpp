// The rows of a task's data, and of a text in JSON lines or a JSON array.
#include "task/data_rows.h"

#include "fuzz_entry.h"
#include "text/text_rows.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::check([&] { (void)read_rows({.items = file.holding(text), .labels = {}}, 0); });
  fuzz::check([&] { (void)parse_text_rows(text, TextFileKind::kJsonLines); });
  return fuzz::check([&] { (void)parse_text_rows(text, TextFileKind::kJson); });
}
