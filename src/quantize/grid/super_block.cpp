#include "quantize/grid/super_block.h"

#include <ATen/ATen.h>

#include <array>
#include <cassert>
#include <span>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "kernels/gguf_codebooks.h"
#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

constexpr int64_t kMostGroups = 16;

int half_of(int bits) {
  return 1 << (bits - 1);
}

// What codes stand for where they are no whole numbers; empty: they are.
std::span<const int8_t> numbers_of(Levels levels) {
  switch (levels) {
    case Levels::kIq4Xs:
    case Levels::kIq4Nl:
      return kIq4Levels;
    case Levels::kMxfp4:
    case Levels::kNvfp4:
      return kE2m1Ascending;
    case Levels::kQ1:
      return kSignLevels;
    case Levels::kTq1:
    case Levels::kTq2:
    case Levels::kEven:
      break;
  }
  return {};
}

SuperBlockRule rule_of(const QuantizedLinear& linear) {
  return super_block_rule(
      {.kind = GridKind::kSuperBlock, .bits = linear.bits, .levels = linear.blocks->levels});
}

SuperBlockShape shape_of(const QuantizedLinear& linear) {
  return super_block_shape(linear.bits, linear.blocks->levels);
}

// (out, blocks) -> (out, groups)
at::Tensor over_groups(const at::Tensor& x, const QuantizedLinear& linear) {
  return x.repeat_interleave(shape_of(linear).columns / linear.group_size, 1);
}

at::Tensor products(const at::Tensor& codes, const at::Tensor& steps,
                    const QuantizedLinear& linear) {
  return over_groups(steps, linear).mul_(codes);
}

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  return std::make_unique<SuperBlockGrid<T>>(choice, context);
}

at::Tensor values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const auto rows = [&](const at::Tensor& x) { return x.narrow(0, begin, count); };
  const at::Tensor codes = rows(linear.codes);
  at::Tensor numbers;
  if (const auto levels = numbers_of(linear.blocks->levels); levels.empty()) {
    numbers = codes.to(at::kFloat).add_(rule_of(linear).least);
  } else {
    const at::Tensor table = at::tensor(std::vector<float>(levels.begin(), levels.end()));
    numbers = table.index_select(0, codes.flatten().to(at::kLong)).view(codes.sizes());
  }
  numbers.mul_(over_columns(rows(linear.scales), linear));
  if (linear.symmetric) return numbers;
  const at::Tensor offsets =
      products(rows(linear.blocks->offset_codes), rows(linear.blocks->offsets), linear);
  return numbers.sub_(over_columns(offsets, linear));
}

double bits(const QuantizedLinear& linear) {
  const int numbers = linear.symmetric ? 1 : 2;
  const SuperBlockShape shape = shape_of(linear);
  const LevelsShape levels = levels_shape(linear.blocks->levels);
  const double packed = levels.bits > 0 ? levels.packed_bits - levels.bits : 0;
  return affine_bits(linear, shape.scale_bits * numbers) + packed +
         static_cast<double>(levels.step_bits * numbers) / static_cast<double>(shape.columns);
}

void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  const auto all = [&](auto&& member) {
    return below_each_other(runs,
                            [&](const QuantizedLinear& run) { return (*run.blocks).*member; });
  };
  linear.scales = below_each_other(runs, [](const QuantizedLinear& run) { return run.scales; });
  linear.blocks->scale_codes = all(&SuperBlocks::scale_codes);
  linear.blocks->steps = all(&SuperBlocks::steps);
  if (linear.symmetric) return;
  linear.blocks->offset_codes = all(&SuperBlocks::offset_codes);
  linear.blocks->offsets = all(&SuperBlocks::offsets);
}

void check_codes(const char* what, const at::Tensor& codes, int low, int high,
                 const std::vector<int64_t>& shape) {
  check_tensor(what, codes, at::kChar, shape);
  require(codes.ge(low).logical_and(codes.le(high)).all().item<bool>(),
          "{}: expected {} .. {}, found one beyond", what, low, high);
}

// Steps that a type's blocks hold where those are no float16.
void check_steps(const at::Tensor& steps, StepKind kind) {
  if (kind == StepKind::kFloat16) return;
  const at::Tensor mantissa = std::get<0>(at::frexp(steps));  // from 1/2 to below 1
  const auto is_whole = [](const at::Tensor& x) { return x.frac().eq(0); };
  at::Tensor held = steps.gt(0);
  if (kind == StepKind::kPowerOfTwo) {
    held = held.logical_and(mantissa.eq(0.5));
  } else {
    const double least_normal = kUe4m3Unit * 0x1p-6;
    const at::Tensor few = is_whole(steps / (least_normal / 8)), full = is_whole(mantissa * 16);
    held = held.logical_and(steps.le(448 * kUe4m3Unit))
               .logical_and(at::where(steps.lt(least_normal), few, full));
  }
  require(held.all().item<bool>(), "steps: expected {}, found another number",
          kind == StepKind::kPowerOfTwo ? "powers of two" : "numbers of UE4M3");
}

void check(const QuantizedLinear& linear) {
  const SuperBlockShape shape = shape_of(linear);
  require(shape.group_size == linear.group_size && shape.symmetric == linear.symmetric,
          "super-blocks: {} bits, groups of {}, {}: no type has these", linear.bits,
          linear.group_size, linear.symmetric ? "symmetric" : "asymmetric");
  require(linear.in() % shape.columns == 0, "super-blocks: {} columns are not a multiple of {}",
          linear.in(), shape.columns);
  check_scales(linear);
  const SuperBlocks& blocks = *linear.blocks;
  const std::vector<int64_t> groups = linear.scales.sizes().vec();
  const std::vector<int64_t> of_blocks = {linear.out(), linear.in() / shape.columns};
  const SuperBlockRule rule = rule_of(linear);
  const int codes = rule.levels == nullptr ? rule.top - rule.least + 1 : rule.level_count;
  check_below("codes", linear.codes, codes);
  check_codes("codes of scales", blocks.scale_codes, rule.least_scale, rule.top_scale, groups);
  check_tensor("steps", blocks.steps, at::kFloat, of_blocks);
  check_float16("steps", blocks.steps);
  check_steps(blocks.steps, rule.step);
  require(at::equal(linear.scales, products(blocks.scale_codes, blocks.steps, linear)),
          "scales: not those of the super-blocks");
  require(linear.symmetric == !blocks.offsets.defined(), "offsets: symmetric, yet there are some");
  if (linear.symmetric) return;
  check_codes("codes of offsets", blocks.offset_codes, 0, rule.top_offset, groups);
  check_tensor("offsets", blocks.offsets, at::kFloat, of_blocks);
  check_float16("offsets", blocks.offsets);
}

// As wide a search as that of 8 by 0.1, but for few levels: there the best scale may give the
// greatest weight another level, or leave it beyond the last one.
void set_levels(Levels levels, SuperBlockRule& rule) {
  const std::span<const int8_t> numbers = numbers_of(levels);
  rule.levels = numbers.empty() ? nullptr : numbers.data();
  rule.level_count = static_cast<int>(numbers.size());
  rule.least = numbers.empty() ? -1 : numbers.front();
  rule.top = numbers.empty() ? 1 : numbers.back();
  rule.apart = 0.2;
  if (levels == Levels::kIq4Xs || levels == Levels::kIq4Nl) rule.apart = 1.6;
  if (levels == Levels::kMxfp4 || levels == Levels::kNvfp4) rule.apart = 0.6;
  if (levels == Levels::kMxfp4) rule.step = StepKind::kPowerOfTwo;
  if (levels == Levels::kNvfp4) rule.step = StepKind::kUe4m3;
}

}  // namespace

SuperBlockRule super_block_rule(const GridOptions& options) {
  const SuperBlockShape shape = options.super_block();
  assert(shape.group_size > 0);
  const int half = half_of(options.bits), scales = 1 << shape.scale_bits;
  SuperBlockRule rule{.groups = static_cast<int>(shape.columns / shape.group_size),
                      .columns = static_cast<int>(shape.group_size),
                      .least = 0,
                      .top = 2 * half - 1,
                      .least_scale = 0,
                      .top_scale = scales - 1,
                      .top_offset = scales - 1,
                      .search = options.clip_search};
  if (!shape.symmetric) return rule;
  rule.least = -half;
  rule.top = half - 1;
  rule.least_scale = -scales / 2;
  rule.top_scale = scales / 2 - 1;
  rule.top_offset = 0;
  if (options.levels == Levels::kEven) return rule;
  set_levels(options.levels, rule);
  if (shape.scale_bits == 0) rule.least_scale = rule.top_scale = 1;
  return rule;
}

template <class T>
SuperBlockGrid<T>::SuperBlockGrid(const GridChoice& choice, const GridContext<T>& context)
    : rule_(super_block_rule(choice.grid)),
      levels_(choice.grid.levels),
      kernels_(context.kernels.super_block),
      rows_(context.rows) {
  rule_.search = rule_.search && choice.thorough;
  const int64_t groups = context.grouping.groups, blocks = groups / rule_.groups;
  assert(groups % rule_.groups == 0);
  const auto numbers = [&](int64_t count) {
    return at::zeros({count, rows_}, c10::CppTypeToScalarType<T>::value);
  };
  for (at::Tensor* of_groups : {&scale_codes_, &offset_codes_, &scales_, &offsets_})
    *of_groups = numbers(groups);
  steps_ = numbers(blocks);
  offset_steps_ = numbers(blocks);
}

template <class T>
void SuperBlockGrid<T>::fit(Place at, [[maybe_unused]] int64_t columns, const T* tile,
                            const T* importance) {
  assert(columns == fit_columns() && at.group % rule_.groups == 0);
  std::array<T, kMostGroups * kLanes> scale_codes{}, offset_codes{};
  std::array<T, kLanes> step{}, offset{};
  kernels_.fit(rule_, tile, importance,
               {scale_codes.data(), offset_codes.data(), step.data(), offset.data()});
  const auto put = [&](at::Tensor& to, int64_t index, int64_t lane, T number) {
    to.template mutable_data_ptr<T>()[index * rows_ + at.row + lane] = number;
  };
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    put(steps_, at.group / rule_.groups, lane, step[lane]);
    put(offset_steps_, at.group / rule_.groups, lane, offset[lane]);
    for (int64_t k = 0; k < rule_.groups; ++k) {
      const T scale_code = scale_codes[k * kLanes + lane];
      const T offset_code = offset_codes[k * kLanes + lane];
      put(scale_codes_, at.group + k, lane, scale_code);
      put(offset_codes_, at.group + k, lane, offset_code);
      put(scales_, at.group + k, lane, step[lane] * scale_code);
      put(offsets_, at.group + k, lane, offset[lane] * offset_code);
    }
  }
}

template <class T>
void SuperBlockGrid<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  const int64_t where = at.group * rows_ + at.row;
  kernels_.round(rule_, weights, scales_.template const_data_ptr<T>() + where,
                 offsets_.template const_data_ptr<T>() + where, codes, values);
}

template <class T>
void SuperBlockGrid<T>::store(QuantizedLinear& linear) const {
  const auto in_rows = [&](const at::Tensor& numbers, at::ScalarType type) {
    return numbers.narrow(1, 0, linear.out()).t().to(type).contiguous();
  };
  SuperBlocks blocks{.scale_codes = in_rows(scale_codes_, at::kChar),
                     .offset_codes = {},
                     .steps = in_rows(steps_, at::kFloat),
                     .offsets = {},
                     .levels = levels_};
  if (!linear.symmetric) {
    blocks.offset_codes = in_rows(offset_codes_, at::kChar);
    blocks.offsets = in_rows(offset_steps_, at::kFloat);
  }
  linear.blocks = std::move(blocks);
  linear.scales = products(linear.blocks->scale_codes, linear.blocks->steps, linear);
}

template class SuperBlockGrid<float>;
template class SuperBlockGrid<double>;

GridEntry super_block_entry() {
  return {.kind = GridKind::kSuperBlock,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = values,
          .bits = bits,
          .join = join,
          .check = check};
}

}  // namespace halftone
