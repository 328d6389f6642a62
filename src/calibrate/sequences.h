// The calibration sequences, each told by its number among all of them: how many are computed at
// once, which are held out, which were left out and why. Their numbers: calibrate/activations.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "model/inputs.h"

namespace halftone {

// Neighbouring sequences that are computed at once.
struct Batch {
  int64_t first, count;
};

// Why a sequence is left out of a statistic (methods.md 7.6, step 1).
enum class LeftOutFor { kNothing, kInputs, kGradients };

class Sequences {
 public:
  // On the way forward and on the way back: enough for the full rate of products, few enough to
  // stay out of the way. Sums are added up batch by batch, so results depend on it.
  static constexpr int64_t kTokensAtOnce = 2048;

  explicit Sequences(ModelInputs inputs, int64_t tokens_at_once = kTokensAtOnce);

  const ModelInputs& inputs() const { return inputs_; }
  int64_t count() const { return inputs_.items.size(0); }
  int64_t length() const { return inputs_.items.size(1); }
  // What the batch's sequences are embedded from.   -> (count, length, ...)
  at::Tensor items(const Batch& batch) const {
    return inputs_.items.narrow(0, batch.first, batch.count);
  }
  // All of them in order, at least one sequence at a time.
  std::vector<Batch> batches() const;

  // The last `count` are held out of every sum but their own (recipe/held_out.h, target.auto).
  void hold_out(int64_t count) { held_out_ = count; }
  int64_t held_out() const { return held_out_; }
  // How many of a batch's sequences, its first ones, are not.
  int64_t not_held_out(const Batch& batch) const;

  // finite: (batch) bool, of the sequences from `first` on, as finite_sequences gives it;
  // undefined: all are. What was left out before keeps its reason.
  void leave_out(const at::Tensor& finite, int64_t first, LeftOutFor reason);
  // Each counts once, whatever it was left out of.
  int64_t left_out() const;
  // Error, with what is said to be its place: more than 1 % of the sequences are left out.
  void require_few_left_out(const std::string& place) const;

 private:
  int64_t left_out(LeftOutFor reason) const;

  ModelInputs inputs_;
  int64_t tokens_at_once_, held_out_ = 0;
  std::vector<LeftOutFor> left_out_;  // of each sequence
};

}  // namespace halftone
