#include "quantize/grid/bilevel.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>

#include "base/error.h"
#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  return std::make_unique<BilevelGrid<T>>(choice.grid, context);
}

// The papers leave a group index out.
double bits(const QuantizedLinear& linear) {
  const BilevelStatistics& bilevel = *linear.bilevel;
  const double runs_a_row =
      static_cast<double>(bilevel.runs(linear.out())) / static_cast<double>(linear.out());
  const double bits_of_group =
      bilevel.scales.bits + 32 * runs_a_row +
      (bilevel.zeros ? bilevel.zeros->bits + 32 * runs_a_row : bits_of_zero(linear));
  return affine_bits(linear, bits_of_group, /*index_counts=*/false);
}

SecondLevel joined_level(const std::vector<QuantizedLinear>& runs, auto&& level_of) {
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return level_of(run).*member; });
  };
  return {level_of(runs.front()).bits, all(&SecondLevel::codes), all(&SecondLevel::steps),
          all(&SecondLevel::zeros)};
}

void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  join_affine(runs, linear);
  linear.bilevel->scales = joined_level(
      runs, [](const QuantizedLinear& run) -> auto& { return run.bilevel->scales; });
  if (linear.bilevel->zeros)
    linear.bilevel->zeros = joined_level(
        runs, [](const QuantizedLinear& run) -> auto& { return *run.bilevel->zeros; });
}

// shape: (out, groups), (runs, groups) of the numbers it stands for
void check_level(const char* what, const SecondLevel& level, const std::vector<int64_t>& codes,
                 const std::vector<int64_t>& runs) {
  require(level.bits >= 1 && level.bits <= 8, "{}: expected codes of 1 .. 8 bits, found {}", what,
          level.bits);
  check_tensor(what, level.codes, at::kByte, codes);
  check_below(what, level.codes, int64_t{1} << level.bits);
  for (const at::Tensor& numbers : {level.steps, level.zeros}) {
    check_tensor(what, numbers, at::kFloat, runs);
    check_float16(what, numbers);
  }
}

// Integer zeros are codes of `bits` bits; fractions come from a second level.
void check_zeros(const QuantizedLinear& linear) {
  if (!linear.bilevel->zeros) return check_integer_zeros(linear);
  check_tensor("zeros", linear.zeros, at::kFloat, linear.scales.sizes().vec());
  require(!linear.symmetric, "zeros: symmetric, yet they are fractions");
}

void check(const QuantizedLinear& linear) {
  check_scales(linear);
  check_zeros(linear);
  const BilevelStatistics& bilevel = *linear.bilevel;
  require(bilevel.run_size >= 1, "run size: expected 1 or more, found {}", bilevel.run_size);
  const std::vector<int64_t> codes = linear.scales.sizes().vec();
  const std::vector<int64_t> runs = {bilevel.runs(linear.out()), linear.groups()};
  check_level("second-level scales", bilevel.scales, codes, runs);
  require(at::equal(linear.scales, reconstruct(bilevel.scales, bilevel.run_size)),
          "scales: not those of the second level");
  if (!bilevel.zeros) return;
  check_level("second-level zeros", *bilevel.zeros, codes, runs);
  require(at::equal(linear.zeros, reconstruct(*bilevel.zeros, bilevel.run_size)),
          "zeros: not those of the second level");
}

}  // namespace

template <class T>
BilevelGrid<T>::Numbers::Numbers(int64_t groups, int64_t rows, int64_t runs)
    : values(at::ones({groups, rows}, c10::CppTypeToScalarType<T>::value)),
      codes(at::zeros({groups, rows}, at::kByte)),
      steps(at::zeros({groups, runs}, at::kFloat)),
      zeros(at::zeros({groups, runs}, at::kFloat)) {}

template <class T>
BilevelGrid<T>::BilevelGrid(const GridOptions& options, const GridContext<T>& context)
    : options_(options),
      kernels_(context.kernels),
      out_(context.out),
      rows_(context.rows),
      dead_columns_(context.dead),
      dead_(context.grouping.columns.size()),
      scales_(context.grouping.groups, rows_, rows_ / options_.qq_groupsize),
      zeros_(context.grouping.groups, rows_, rows_ / options_.qq_groupsize) {
  static_assert(kRowsAtOnce == kLanes);
  assert(options_.qq_groupsize >= 1 && kLanes % options_.qq_groupsize == 0);
  const std::vector<int64_t> positions = context.grouping.positions();
  for (const int64_t column : context.dead) dead_[positions[column]] = 1;
}

template <class T>
typename BilevelGrid<T>::First BilevelGrid<T>::first_level(double low, double high) const {
  const int top = (1 << options_.bits) - 1;
  const double reach = std::max(std::abs(low), std::abs(high));
  const bool constant = high - low <= reach * least_spread(top);
  if (options_.symmetric) {
    const double zero = (top + 1) / 2;
    return {constant ? reach : 2 * reach / top, zero, constant};
  }
  if (constant) return {reach, low < 0 ? 1.0 : 0.0, true};
  if (options_.has_integer_zeros()) {  // codes of `bits` bits hold only zeros within the range
    low = std::min(low, 0.0);
    high = std::max(high, 0.0);
  }
  const double scale = (high - low) / top, zero = -low / scale;
  return {scale, options_.round_zero ? std::nearbyint(zero) : zero, false};
}

template <class T>
void BilevelGrid<T>::code(Numbers& numbers, Place at, std::span<const RunMember> members, int bits,
                          bool positive) const {
  const int64_t where = at.group * rows_ + at.row;
  const int64_t run = at.group * (rows_ / options_.qq_groupsize) + at.row / options_.qq_groupsize;
  auto* codes = numbers.codes.template mutable_data_ptr<uint8_t>() + where;
  auto* values = numbers.values.template mutable_data_ptr<T>() + where;
  const RunGrid grid = code_run(members, (1 << bits) - 1, positive, codes);
  for (size_t i = 0; i < members.size(); ++i) values[i] = grid.value(codes[i]);
  numbers.steps.template mutable_data_ptr<float>()[run] = grid.step;
  numbers.zeros.template mutable_data_ptr<float>()[run] = grid.zero;
}

template <class T>
void BilevelGrid<T>::fit(Place at, int64_t columns, const T* tile, const T* /*importance*/) {
  T low[kLanes], high[kLanes];
  kernels_.range(columns, tile, low, high);
  for (int64_t lane = 0; lane < kLanes && at.row + lane < out_; lane += options_.qq_groupsize) {
    const Place first{at.position, at.group, at.row + lane};
    const int64_t count = std::min(options_.qq_groupsize, out_ - first.row);
    std::array<RunMember, kLanes> scales, zeros;
    for (int64_t i = 0; i < count; ++i) {
      const First row = first_level(low[lane + i], high[lane + i]);
      scales[i] = {row.scale, row.constant};
      zeros[i] = {row.zero, row.constant};
    }
    const auto members = static_cast<size_t>(count);
    code(scales_, first, {scales.data(), members}, options_.qq_scale_bits,
         /*positive=*/true);
    if (!options_.has_integer_zeros()) {
      code(zeros_, first, {zeros.data(), members}, options_.qq_zero_bits,
           /*positive=*/false);
      continue;
    }
    T* to = zeros_.values.template mutable_data_ptr<T>() + at.group * rows_ + first.row;
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(zeros[i].number);
  }
}

template <class T>
void BilevelGrid<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  const int64_t where = at.group * rows_ + at.row;
  kernels_.round_shifted((1 << options_.bits) - 1, weights,
                         scales_.values.template const_data_ptr<T>() + where,
                         zeros_.values.template const_data_ptr<T>() + where, codes, values);
  // no code may mean 0: rows of padding and dead columns are 0 all the same
  const int64_t real = dead_[at.position] ? 0 : std::min(kLanes, out_ - at.row);
  std::fill(values + std::max<int64_t>(real, 0), values + kLanes, T{0});
}

template <class T>
SecondLevel BilevelGrid<T>::Numbers::stored(int bits, int64_t out, int64_t runs) const {
  const auto in_rows = [](const at::Tensor& by_group, int64_t count) {
    return by_group.narrow(1, 0, count).t().contiguous();
  };
  return {.bits = bits,
          .codes = in_rows(codes, out),
          .steps = in_rows(steps, runs),
          .zeros = in_rows(zeros, runs)};
}

template <class T>
void BilevelGrid<T>::store(QuantizedLinear& linear) const {
  BilevelStatistics bilevel{.run_size = options_.qq_groupsize, .scales = {}, .zeros = {}};
  const int64_t runs = bilevel.runs(out_);
  bilevel.scales = scales_.stored(options_.qq_scale_bits, out_, runs);
  linear.scales = reconstruct(bilevel.scales, options_.qq_groupsize);
  if (options_.has_integer_zeros()) {
    linear.zeros = zeros_.values.narrow(1, 0, out_).t().to(at::kByte).contiguous();
  } else {
    bilevel.zeros = zeros_.stored(options_.qq_zero_bits, out_, runs);
    linear.zeros = reconstruct(*bilevel.zeros, options_.qq_groupsize);
  }
  linear.bilevel = std::move(bilevel);
  if (!options_.has_integer_zeros() && !dead_columns_.empty())
    linear.dead_columns = at::tensor(dead_columns_, at::kInt);
}

template class BilevelGrid<float>;
template class BilevelGrid<double>;

GridEntry bilevel_entry() {
  return {.kind = GridKind::kBilevel,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = affine_values,
          .bits = bits,
          .join = join,
          .check = check};
}

}  // namespace halftone
