// The threshold of sensitivity at which the sweep keeps a given share of the weights
// (methods.md 5.2).
//
// The share is emergent: what one outlier changes, the weights after it feel. So it is measured in
// the real sweep, on a sample of whole tiles of rows (rows are independent), stacked eight times
// with eight thresholds; the interval that holds the share is divided again until one hits it.
#pragma once

#include "quantize/grid/grid_choice.h"
#include "quantize/grid/grid_context.h"
#include "quantize/sweep.h"

namespace halftone {

struct RateSearch {
  double threshold = 0;  // of the squared error in units of c_j
  double rate = 0;       // reached on the sample
  int64_t weights = 0;   // of the sample
};

// task: of the whole linear, ready to be swept; context: of the whole linear; choice: its outlier
// rate is what is wanted. Stops within 1/8000 of the share (0.004 bits a weight) or one weight.
template <class T>
RateSearch threshold_for_rate(const GridChoice& choice, const SweepTask<T>& task,
                              const GridContext<T>& context);

}  // namespace halftone
