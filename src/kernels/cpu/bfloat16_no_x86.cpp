#include "kernels/bfloat16.h"

namespace halftone {

bool cpu_multiplies_bfloat16() {
  return false;
}

}  // namespace halftone
