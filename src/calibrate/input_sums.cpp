#include "calibrate/input_sums.h"

#include <ATen/ATen.h>

#include <utility>

#include "calibrate/finite.h"
#include "calibrate/sums.h"
#include "calibrate/token_rows.h"

namespace halftone {
namespace {

// Which rows of an input are summed, those of its sequences that are finite, and what goes with
// them.
class KeptRows {
 public:
  // finite: (count) bool, the sequences that are; undefined: all
  KeptRows(const at::Tensor& rows, const at::Tensor& finite, int64_t length)
      : rows_(rows, length), finite_(finite), length_(length) {
    if (!rows_.is_all() && finite.defined()) kept_ = finite.index_select(0, rows_.sequences());
  }

  // x: (count, length, in) or (tokens, in), as the input, or undefined -> (rows, in)
  at::Tensor of_input(const at::Tensor& x) const {
    if (!x.defined()) return x;
    if (rows_.is_all()) return (finite_.defined() ? x.index({finite_}) : x).flatten(0, 1);
    return kept_.defined() ? x.index({kept_}) : x;
  }
  // values: (count, length), one a token, or undefined -> (rows)
  at::Tensor of_tokens(const at::Tensor& values) const {
    return values.defined() && !rows_.is_all() ? of_input(rows_.of(values)) : of_input(values);
  }
  // How many are of the first `count` sequences.
  int64_t before(int64_t count) const {
    if (rows_.is_all())
      return length_ *
             (finite_.defined() ? finite_.narrow(0, 0, count).sum().item<int64_t>() : count);
    return of_input(rows_.sequences()).lt(count).sum().item<int64_t>();
  }

 private:
  TokenRows rows_;
  at::Tensor finite_, kept_;  // kept_: (tokens) bool, of an expert's
  int64_t length_;
};

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

void InputSums::add(const Batch& batch, const StageInput& input, const StageInput& original) {
  const int64_t length = sequences_.length();
  const at::Tensor finite = finite_sequences(input.x, TokenRows(input.rows, length), batch.count);
  sequences_.leave_out(finite, batch.first, LeftOutFor::kInputs);
  if (finite.defined()) left_out_ += batch.count - finite.sum().item<int64_t>();
  const KeptRows kept(input.rows, finite, length);
  const at::Tensor rows = kept.of_input(input.x), full = kept.of_input(original.x);
  const int64_t summed = kept.before(sequences_.not_held_out(batch)), rest = rows.size(0) - summed;
  const auto part_of = [&](const at::Tensor& of) {
    return of.defined() ? of.narrow(0, 0, summed) : of;
  };
  for (Weighted& sum : sums_)
    for (size_t run = 0; summed > 0 && run < sum.runs.size(); ++run) {
      const at::Tensor weights =
          part_of(kept.of_tokens(sum.weights.of(static_cast<int64_t>(run), batch)));
      sum.runs[run].hessian.add(part_of(rows), weights);
      if (sum.runs[run].moment) sum.runs[run].moment->add(part_of(rows), part_of(full), weights);
    }
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
