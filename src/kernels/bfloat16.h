// The bfloat16 type of kernels.
#pragma once

#include <cstdint>

namespace halftone {

// The bits of a bfloat16.
struct BFloat16Bits {
  uint16_t bits;
};

}  // namespace halftone
