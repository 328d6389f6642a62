// The header of a GGUF file, every value of its metadata, and every tensor, de-quantized where the
// fuzzer's own bytes lie, so that a sanitizer sees what is read beyond them.
#include <vector>

#include "checkpoint/gguf_header.h"
#include "fuzz_entry.h"

namespace {

using namespace halftone;

void read_metadata(const GgufMetadata& metadata) {
  for (const std::string_view key : metadata.keys()) {
    fuzz::check([&] { (void)metadata.whole(key); });
    fuzz::check([&] { (void)metadata.number(key); });
    fuzz::check([&] { (void)metadata.flag(key); });
    fuzz::check([&] { (void)metadata.text(key); });
    fuzz::check([&] { (void)metadata.wholes(key); });
    fuzz::check([&] { (void)metadata.numbers(key); });
    fuzz::check([&] { (void)metadata.texts(key); });
  }
}

void decode(const GgufTensor& tensor, std::string_view file) {
  fuzz::expect(tensor.begin <= tensor.end && tensor.end <= file.size());
  const std::string_view data = file.substr(tensor.begin, tensor.end - tensor.begin);
  const auto block = static_cast<size_t>(tensor.type->block_bytes);
  fuzz::expect(data.size() % block == 0);
  const auto blocks = static_cast<int64_t>(data.size() / block);
  std::vector<float> weights(static_cast<size_t>(blocks * tensor.type->block_length));
  if (tensor.type->decode != nullptr && blocks > 0)
    tensor.type->decode(blocks, reinterpret_cast<const uint8_t*>(data.data()), weights.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::check([&] {
    const std::string_view file = fuzz::text_of(data, size);
    const GgufHeader header = parse_gguf_header(file);
    read_metadata(header.metadata);
    for (const GgufTensor& tensor : header.tensors) decode(tensor, file);
  });
}
