// All that is summed up of one input of a stage: X^T X with each of several weights of its tokens,
// beside the full-precision model its cross moments, and the sums over held-out sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "calibrate/cross_moment.h"
#include "calibrate/held_out.h"
#include "calibrate/input_hessian.h"
#include "calibrate/linear_statistics.h"
#include "calibrate/token_weights.h"
#include "model/family.h"

namespace halftone {

class InputSums {
 public:
  // weights: one entry a sum; none: nothing is summed, but sequences that are not finite are still
  // left out. two_streams: whether inputs of the full-precision model come along.
  InputSums(int64_t in, const std::vector<TokenWeights>& weights, bool two_streams,
            Sequences& sequences, at::Device device);

  // input: of a batch's sequences; original: the same tokens in the full-precision model, or
  // nothing. A sequence of which the input is not finite is left out.
  void add(const Batch& batch, const StageInput& input, const StageInput& original);
  // With each of the weights; where these are of several runs, matrices are (runs, in, in).
  std::vector<LinearStatistics> finish();

 private:
  struct Run {
    InputHessian hessian;
    std::optional<CrossMoment> moment;  // with two streams
  };
  struct Weighted {
    TokenWeights weights;
    std::vector<Run> runs;
  };

  Sequences& sequences_;
  std::vector<Weighted> sums_;
  std::optional<HeldOutSums> held_out_;
  int64_t left_out_ = 0;
};

}  // namespace halftone
