// A file of importances, of either form.
#include "checkpoint/imatrix_file.h"
#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  return fuzz::check([&] {
    const ImatrixFile importances(file.holding(fuzz::text_of(data, size)));
    (void)importances.mean_squares("blk.0.attn_q.weight", 4);
  });
}
