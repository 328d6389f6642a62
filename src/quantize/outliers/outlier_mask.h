// Which weights of a linear are outliers, where that is decided before the sweep.
#pragma once

#include <ATen/core/Tensor.h>

namespace halftone {

struct OutlierMask {
  at::Tensor members;  // (out, in) bool, columns in the file's order
  double least = 0;    // the smallest magnitude among them; 0: there are none
};

}  // namespace halftone
