// The JSON header of a safetensors file.
#include "checkpoint/safetensors_header.h"

#include "fuzz_entry.h"

namespace {

constexpr size_t kDataBytes = 24;  // behind the header

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  return fuzz::check([&] {
    const auto header = parse_safetensors_header(fuzz::text_of(data, size), kDataBytes);
    for (const StoredTensor& tensor : header.tensors)
      fuzz::expect(tensor.begin <= tensor.end && tensor.end <= kDataBytes);
  });
}
