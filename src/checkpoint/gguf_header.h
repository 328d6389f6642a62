// Everything in a GGUF file but the numbers (formats.md 12.2): metadata and where each tensor lies.
// Every count, length and offset is held against the bytes there are before it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf_metadata.h"
#include "kernels/gguf_blocks.h"

namespace halftone {

struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;  // as in torch, rows first: the file lists it the other way round
  const GgufType* type = nullptr;
  size_t begin = 0, end = 0;  // bytes of the file, [begin, end)
};

struct GgufHeader {
  uint32_t version = 3;
  GgufMetadata metadata;  // of views into the file
  std::vector<GgufTensor> tensors;
  size_t alignment = 32, data_begin = 0;
};

// file: the whole of it. Errors: everything formats.md 12.2 refuses, with the key or the tensor.
GgufHeader parse_gguf_header(std::string_view file);

}  // namespace halftone
