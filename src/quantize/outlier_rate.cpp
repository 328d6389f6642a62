#include "quantize/outlier_rate.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>

#include "quantize/make_grid.h"
#include "quantize/outliers/sensitivity.h"
#include "quantize/tiles.h"

namespace halftone {
namespace {

constexpr int64_t kCopies = 8;      // thresholds tried at once
constexpr int kMostRounds = 12;     // the interval shrinks to its ninth root in each
constexpr double kFirstReach = 16;  // the first interval: guess / 16 .. guess * 16
constexpr double kNarrow = 1.02, kReopened = 0.004;  // an interval to open again, and how far
constexpr double kClose = 1.0 / 8000;                // of the weights: 0.004 bits each
constexpr int64_t kLeastTiles = 4, kShare = 32;      // sampled: this many, or a 32nd of all
constexpr int64_t kUneven = 4;  // times as many where rows differ in what their errors count

// Whole tiles spread evenly over the rows; where rows differ, over all tiles in order of what they
// count, since outliers crowd in few of them.
std::vector<int64_t> sampled_tiles(int64_t out, std::span<const double> row_weights) {
  const bool even = std::adjacent_find(row_weights.begin(), row_weights.end(),
                                       std::not_equal_to<>()) == row_weights.end();
  const int64_t full = whole_tiles(out), more = even ? 1 : kUneven;
  std::vector<int64_t> tiles =
      spread_tiles(out, std::max(kLeastTiles * more, full * more / kShare));
  if (even) return tiles;
  std::vector<double> weight(static_cast<size_t>(full));
  for (int64_t row = 0; row < std::min(out, full * kLanes); ++row)
    weight[row / kLanes] += row_weights[row];
  std::vector<int64_t> by_weight(weight.size());
  std::iota(by_weight.begin(), by_weight.end(), 0);
  std::stable_sort(by_weight.begin(), by_weight.end(),
                   [&](int64_t a, int64_t b) { return weight[a] < weight[b]; });
  for (int64_t& tile : tiles) tile = by_weight[tile];
  return tiles;
}

// (in, rows) -> (in, copies of all sampled tiles)
at::Tensor stacked(const at::Tensor& original, const std::vector<int64_t>& tiles) {
  std::vector<at::Tensor> parts;
  for (const int64_t tile : tiles) parts.push_back(original.narrow(1, tile * kLanes, kLanes));
  return at::cat(parts, 1).repeat({1, kCopies}).contiguous();
}

template <class T>
class Sample {
 public:
  Sample(const GridChoice& choice, const SweepTask<T>& task, const GridContext<T>& context)
      : choice_(choice),
        task_(task),
        context_(context),
        tiles_(sampled_tiles(context.out, context.row_weights)),
        rows_(static_cast<int64_t>(tiles_.size()) * kLanes),
        real_(std::min(rows_, context.out)) {
    task_.original = stacked(task.original, tiles_);
    context_.original = task_.original;
    context_.out = context_.rows = kCopies * rows_;
    for (int64_t row = 0; row < rows_; ++row)
      cost_.push_back(cost_of(context.row_weights, tiles_[row / kLanes] * kLanes + row % kLanes));
  }

  int64_t weights() const { return real_ * task_.original.size(0); }

  // Outliers of one sweep for each threshold.
  std::array<int64_t, kCopies> outliers(const std::array<double, kCopies>& thresholds) const {
    std::vector<T> of_row(static_cast<size_t>(kCopies * rows_));
    for (int64_t row = 0; row < kCopies * rows_; ++row)
      of_row[row] = static_cast<T>(thresholds[row / rows_] / cost_[row % rows_]);
    const GridChoice inside{.grid = choice_.grid, .thorough = choice_.thorough};
    SensitivityOutliers<T> grid(make_grid(inside, context_), choice_, context_, std::move(of_row));
    if (!task_.grouping.refit) fit_static_groups(task_, grid);
    sweep(task_, grid, context_.kernels);
    const std::vector<int64_t> counts = grid.kept().count_by_row();
    std::array<int64_t, kCopies> sums{};
    for (int64_t row = 0; row < kCopies * rows_; ++row)
      if (row % rows_ < real_) sums[row / rows_] += counts[row];
    return sums;
  }

 private:
  static double cost_of(std::span<const double> row_weights, int64_t row) {
    return row < static_cast<int64_t>(row_weights.size()) ? row_weights[row] : 1;
  }

  const GridChoice& choice_;
  SweepTask<T> task_;
  GridContext<T> context_;
  std::vector<int64_t> tiles_;
  int64_t rows_, real_;       // of one copy; without padding
  std::vector<double> cost_;  // (rows) what a squared error counts
};

// An interval of thresholds: at `low` there are too many outliers, at `high` too few.
struct Interval {
  double low, high;

  std::array<double, kCopies> inside() const {
    std::array<double, kCopies> thresholds{};
    for (int64_t i = 0; i < kCopies; ++i)
      thresholds[i] = low * std::pow(high / low, static_cast<double>(i + 1) / (kCopies + 1));
    return thresholds;
  }
};

}  // namespace

template <class T>
RateSearch threshold_for_rate(const GridChoice& choice, const SweepTask<T>& task,
                              const GridContext<T>& context) {
  const Sample<T> sample(choice, task, context);
  const auto weights = static_cast<double>(sample.weights());
  const double wanted = choice.outliers.rate * weights;
  // squared errors grow with the square of the step; the factor fits real layers at 2 to 4 bits
  const double guess = mean_sensitivity(context.original, context.out, context.pivots) * 24 *
                       std::pow(4, -choice.grid.bits);
  RateSearch best{.threshold = guess, .rate = 0, .weights = sample.weights()};
  if (!(guess > 0)) return best;
  Interval interval{guess / kFirstReach, guess * kFirstReach};
  double best_miss = INFINITY;
  for (int round = 1; round <= kMostRounds && best_miss > std::max(1.0, kClose * weights);
       ++round) {
    // the count is not quite monotone: in a narrow interval the best is looked for on both sides
    if (interval.high < interval.low * kNarrow) {
      const double spread = 1 + kReopened * round;
      interval = {best.threshold / spread, best.threshold * spread};
    }
    const auto thresholds = interval.inside();
    const auto found = sample.outliers(thresholds);
    for (int64_t i = 0; i < kCopies; ++i) {
      const double count = static_cast<double>(found[i]), miss = std::abs(count - wanted);
      if (miss >= best_miss) continue;
      best_miss = miss;
      best = {thresholds[i], count / weights, sample.weights()};
    }
    // the first threshold with too few ends the next interval; none inside: go beyond an end
    const int64_t few =
        std::find_if(found.begin(), found.end(),
                     [&](int64_t count) { return static_cast<double>(count) < wanted; }) -
        found.begin();
    const double reach = interval.high / interval.low;
    const Interval last = interval;
    interval.low = few == 0 ? last.low / reach : thresholds[few - 1];
    interval.high = few == kCopies ? last.high * reach : thresholds[few];
  }
  return best;
}
template RateSearch threshold_for_rate(const GridChoice&, const SweepTask<float>&,
                                       const GridContext<float>&);
template RateSearch threshold_for_rate(const GridChoice&, const SweepTask<double>&,
                                       const GridContext<double>&);

}  // namespace halftone
