#include "calibrate/sequences.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace halftone {

Sequences::Sequences(ModelInputs inputs, int64_t tokens_at_once)
    : inputs_(std::move(inputs)),
      tokens_at_once_(tokens_at_once),
      left_out_(static_cast<size_t>(inputs_.items.size(0)), LeftOutFor::kNothing) {}

std::vector<Batch> Sequences::batches() const {
  const int64_t at_once = std::max<int64_t>(1, tokens_at_once_ / length());
  std::vector<Batch> batches;
  for (int64_t first = 0; first < count(); first += at_once)
    batches.push_back({first, std::min(at_once, count() - first)});
  return batches;
}

int64_t Sequences::not_held_out(const Batch& batch) const {
  return std::clamp<int64_t>(count() - held_out_ - batch.first, 0, batch.count);
}

void Sequences::leave_out(const at::Tensor& finite, int64_t first, LeftOutFor reason) {
  if (!finite.defined()) return;
  const at::Tensor found = finite.logical_not().nonzero().cpu();
  for (int64_t i = 0; i < found.size(0); ++i) {
    LeftOutFor& known = left_out_[static_cast<size_t>(first + found[i].item<int64_t>())];
    if (known == LeftOutFor::kNothing) known = reason;
  }
}

int64_t Sequences::left_out(LeftOutFor reason) const {
  return std::count(left_out_.begin(), left_out_.end(), reason);
}

int64_t Sequences::left_out() const {
  return count() - left_out(LeftOutFor::kNothing);
}

void Sequences::require_few_left_out(const std::string& place) const {
  if (left_out() * 100 <= count()) return;
  const int64_t inputs = left_out(LeftOutFor::kInputs),
                gradients = left_out(LeftOutFor::kGradients);
  const std::string parts =
      gradients == 0 ? fmt::format("the inputs of {}", inputs)
      : inputs == 0
          ? fmt::format("the gradients of {}", gradients)
          : fmt::format("the inputs of {} and the gradients of {} more", inputs, gradients);
  fail(
      "{}: {} of {} calibration sequences are not finite, expected 1 % at most; a model that "
      "overflows cannot be calibrated{} (try --compute float32{})",
      place, parts, count(), gradients > 0 ? " by its end loss" : "",
      gradients > 0 ? ", or objective.kind = input" : "");
}

}  // namespace halftone
