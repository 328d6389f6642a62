// A GGUF file as a model: its configuration, and its weights as torch tensors.
#include "checkpoint/gguf_model.h"

#include <ATen/ATen.h>

#include "fuzz_entry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace halftone;
  static fuzz::MemoryFile file;
  return fuzz::check([&] {
    const GgufModel model(file.holding(fuzz::text_of(data, size)));
    (void)model.config().dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    for (const std::string& name : model.names())
      fuzz::check([&] {
        const WeightInfo info = model.info(name);
        fuzz::expect(model.load(name).sizes() == at::IntArrayRef(info.shape));
        if (info.shape.empty() || info.shape[0] == 0) return;
        (void)model.load_rows(name, at::full({1}, info.shape[0] - 1, at::kLong));
      });
  });
}
