// A whole safetensors file, and every tensor in it.
#include "checkpoint/safetensors.h"

#include <ATen/ATen.h>

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  return fuzz::check([&] {
    const SafetensorsFile tensors(file.holding(fuzz::text_of(data, size)));
    for (const StoredTensor& tensor : tensors.tensors())
      fuzz::check([&] {
        fuzz::expect(tensors.find(tensor.name) != nullptr);
        const at::Tensor view = tensors.view(tensor);
        fuzz::expect(view.nbytes() == tensors.bytes(tensor).size());
        (void)view.clone();
      });
  });
}
