// model.safetensors.index.json.
#include "checkpoint/shard_index.h"

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  return fuzz::check([&] {
    const ShardIndex index = read_shard_index(file.holding(fuzz::text_of(data, size)));
    (void)index.says(size);
  });
}
