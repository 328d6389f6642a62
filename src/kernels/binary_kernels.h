// The hot loops of the binary grid's structure search (methods.md 4.4; Huang et al. 2024, BiLLM,
// arXiv 2402.04291), single-threaded, on tiles as in lane_kernels.h: (columns, 16), a row a lane.
//
// To binarize some weights of a row is to replace each by mean + scale * sign(w - mean), where
// scale is the mean of |w - mean|; order 2 does it again with what remains. All means are weighted.
// Where nothing is left to binarize, mean and scale are 0; sign(0) is 0.
#pragma once

#include <cstdint>

namespace halftone {

template <class T>  // float or double: the type of the weights
struct BinaryKernels {
  // One order, 16 rows. members: (columns, 16), the weight of each number in the means, 0 where it
  // does not take part; values: (columns, 16), members are replaced by what remains of them;
  // means, scales: (16)
  void (*binarize)(int64_t columns, const T* members, T* values, T* means, T* scales);

  // For every count of leading columns, 1 .. counts, the error of binarizing those and the others
  // apart, at order 2 each.   tile: (columns, 16); importance: (columns), weight of a column in
  // means and errors; costs: (counts) += the error of the 16 rows; counts < columns
  void (*salient_costs)(int64_t columns, int64_t counts, const T* tile, const T* importance,
                        double* costs);

  // For every break point p the error of binarizing the weights with |w| < p and the others apart,
  // at order 1 each.   points: (count); costs: (count) +=, as above
  void (*split_costs)(int64_t columns, const T* tile, const T* importance, int64_t count,
                      const T* points, double* costs);
};

}  // namespace halftone
