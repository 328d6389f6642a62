// The JSON header of a safetensors file: parsed without a tree in between, so that memory stays
// near the text's size.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace halftone {

inline constexpr size_t kMaxSafetensorsHeader = 100'000'000;  // bytes
inline constexpr std::string_view kMetadataKey = "__metadata__";

struct SafetensorsHeader {
  std::vector<StoredTensor>
      tensors;  // by offset; offsets are bytes of the data, which follows the header
  std::map<std::string, std::string> metadata;
};

// Errors: malformed JSON or entries; offsets that do not fit dtype and shape, or do not cover
// `data_bytes` exactly.
SafetensorsHeader parse_safetensors_header(std::string_view text, size_t data_bytes);

}  // namespace halftone
