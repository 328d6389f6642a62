// What is summed up of the inputs of one stage, each by itself: a stage may have one input that all
// its linears read, or several of other widths and tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "calibrate/input_sums.h"
#include "model/model.h"

namespace halftone {

// One sum that is asked for.
struct StageSum {
  size_t input = 0;           // of the stage's inputs (LinearSlot::input)
  TokenWeights weights = {};  // of its tokens
};

class StageSums {
 public:
  // linears: of the stage; they tell how wide its inputs are. two_streams: as in InputSums.
  StageSums(std::span<const LinearSlot> linears, std::span<const StageSum> asked, bool two_streams,
            Sequences& sequences, at::Device device);

  // inputs: of a batch's sequences; original: in the full-precision model, none with one stream.
  void add(const Batch& batch, std::span<const StageInput> inputs,
           std::span<const StageInput> original);
  // As they were asked for.
  std::vector<LinearStatistics> finish();

 private:
  std::vector<size_t> inputs_;  // of each sum that is asked for
  std::vector<InputSums> sums_;
};

}  // namespace halftone
