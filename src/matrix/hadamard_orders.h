// Of which orders there is a Hadamard matrix to be had (matrix/orthogonal.h).
#pragma once

#include <cstdint>

namespace halftone {

// Whether hadamard(n) needs no random factor.
bool has_hadamard(int64_t n);

}  // namespace halftone
