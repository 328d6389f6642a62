#include "calibrate/input_sums.h"

#include <ATen/ATen.h>

#include <utility>

#include "calibrate/finite.h"
#include "calibrate/sums.h"

namespace halftone {
namespace {

// Of the sequences in the mask, all tokens one after another.   x: (batch, length, ...) or
// undefined
at::Tensor rows_of(const at::Tensor& x, const at::Tensor& mask) {
  return x.defined() ? (mask.defined() ? x.index({mask}) : x).flatten(0, 1) : x;
}

// How many of the rows in the mask are of the first `count` sequences.
int64_t rows_in(const at::Tensor& mask, int64_t count, int64_t length) {
  return length * (mask.defined() ? mask.narrow(0, 0, count).sum().item<int64_t>() : count);
}

// A run's matrix into its place in all of them.
void put(at::Tensor& all, int64_t runs, int64_t run, const at::Tensor& matrix) {
  if (!all.defined()) all = at::empty({runs, matrix.size(0), matrix.size(1)}, matrix.options());
  all[run].copy_(matrix);
}

}  // namespace

InputSums::InputSums(int64_t in, const std::vector<TokenWeights>& weights, bool two_streams,
                     Sequences& sequences, at::Device device)
    : sequences_(sequences) {
  for (const TokenWeights& own : weights) {
    Weighted& sum = sums_.emplace_back(Weighted{own, {}});
    for (int64_t run = 0; run < own.runs(); ++run) {
      sum.runs.push_back({InputHessian(in, device), std::nullopt});
      if (two_streams) sum.runs.back().moment.emplace(in, device);
    }
  }
  if (sequences.held_out() > 0 && !weights.empty()) held_out_.emplace(in, device);
}

void InputSums::add(const Batch& batch, const at::Tensor& x, const at::Tensor& original) {
  const at::Tensor finite = finite_sequences(x), rows = rows_of(x, finite);
  sequences_.leave_out(finite, batch.first, LeftOutFor::kInputs);
  if (finite.defined()) left_out_ += batch.count - finite.sum().item<int64_t>();
  const at::Tensor full = rows_of(original, finite);
  const int64_t summed = rows_in(finite, sequences_.not_held_out(batch), x.size(1));
  const auto part_of = [&](const at::Tensor& of) {
    return of.defined() ? of.narrow(0, 0, summed) : of;
  };
  for (Weighted& sum : sums_)
    for (size_t run = 0; run < sum.runs.size(); ++run) {
      const at::Tensor weights =
          part_of(rows_of(sum.weights.of(static_cast<int64_t>(run), batch), finite));
      sum.runs[run].hessian.add(part_of(rows), weights);
      if (sum.runs[run].moment) sum.runs[run].moment->add(part_of(rows), part_of(full), weights);
    }
  const int64_t rest = rows.size(0) - summed;
  if (held_out_) held_out_->add(rows.narrow(0, summed, rest), full.narrow(0, summed, rest));
}

std::vector<LinearStatistics> InputSums::finish() {
  std::vector<LinearStatistics> all;
  std::optional<HeldOutInputs> held_out;
  if (held_out_) held_out = held_out_->finish();
  for (Weighted& sum : sums_) {
    LinearStatistics& own = all.emplace_back();
    const auto runs = static_cast<int64_t>(sum.runs.size());
    for (int64_t run = 0; run < runs; ++run) {
      Run& one = sum.runs[static_cast<size_t>(run)];
      const LinearStatistics found = one.hessian.finish();
      const at::Tensor moment = one.moment ? one.moment->finish() : at::Tensor();
      own.tokens = found.tokens;
      if (runs == 1) {
        own.hessian = found.hessian;
        own.cross_moment = moment;
      } else {
        put(own.hessian, runs, run, found.hessian);
        if (moment.defined()) put(own.cross_moment, runs, run, moment);
      }
    }
    own.skipped_sequences = total(left_out_);
    own.held_out = held_out;
  }
  return all;
}

}  // namespace halftone
