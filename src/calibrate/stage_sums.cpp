#include "calibrate/stage_sums.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace halftone {
namespace {

std::vector<int64_t> widths_of(std::span<const LinearSlot> linears) {
  std::vector<int64_t> widths;
  for (const LinearSlot& linear : linears) {
    widths.resize(std::max(widths.size(), linear.input + 1));
    widths[linear.input] = linear.in;
  }
  return widths;
}

}  // namespace

StageSums::StageSums(std::span<const LinearSlot> linears, std::span<const StageSum> asked,
                     bool two_streams, Sequences& sequences, at::Device device) {
  for (const StageSum& sum : asked) inputs_.push_back(sum.input);
  for (const int64_t width : widths_of(linears)) {
    std::vector<TokenWeights> weights;
    for (const StageSum& sum : asked)
      if (sum.input == sums_.size()) weights.push_back(sum.weights);
    sums_.emplace_back(width, weights, two_streams, sequences, device);
  }
}

void StageSums::add(const Batch& batch, std::span<const StageInput> inputs,
                    std::span<const StageInput> original) {
  assert(inputs.size() == sums_.size() && (original.empty() || original.size() == inputs.size()));
  for (size_t i = 0; i < sums_.size(); ++i)
    sums_[i].add(batch, inputs[i], original.empty() ? StageInput() : original[i]);
}

std::vector<LinearStatistics> StageSums::finish() {
  std::vector<LinearStatistics> all(inputs_.size());
  for (size_t input = 0; input < sums_.size(); ++input) {
    std::vector<LinearStatistics> own = sums_[input].finish();
    auto next = own.begin();
    for (size_t i = 0; i < all.size(); ++i)
      if (inputs_[i] == input) all[i] = std::move(*next++);
  }
  return all;
}

}  // namespace halftone
