// The element types that a safetensors file can name (formats.md 2).
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <span>
#include <string_view>

namespace halftone {

struct Dtype {
  std::string_view name;
  unsigned bits;                         // of one element; 4 and 6 are packed without gaps
  std::optional<at::ScalarType> scalar;  // none: torch has no such type
};

// All of them, in the order of the reference library: by alignment, smallest first.
std::span<const Dtype> all_dtypes();

// nullptr if there is no such type.
const Dtype* find_dtype(std::string_view name);
const Dtype* find_dtype(at::ScalarType scalar);

}  // namespace halftone
