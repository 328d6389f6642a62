#include "quantize/grid/vector.h"

#include <ATen/ATen.h>

#include <array>
#include <cassert>

#include "base/error.h"
#include "kernels/gguf_blocks.h"
#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

constexpr int64_t kMostGroups = 16, kTopScaleCode = 15;

const VectorRule& rule_of(Codebook codebook) {
  return *find_vector_rule(codebook_shape(codebook).type);
}

// What each of the 16 codes stands for at scale 1.
at::Tensor values_of_codes(Codebook codebook) {
  const VectorRule& rule = rule_of(codebook);
  at::Tensor values = at::zeros({2 * kNegative}, at::kFloat);
  auto* to = values.mutable_data_ptr<float>();
  for (int level = 0; level < rule.magnitude_count; ++level) {
    to[level] = rule.magnitudes[level];
    to[kNegative + level] = -rule.magnitudes[level];
  }
  return values;
}

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  return std::make_unique<VectorGrid<T>>(choice, context);
}

at::Tensor values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const at::Tensor codes = linear.codes.narrow(0, begin, count);
  const at::Tensor numbers = values_of_codes(linear.vectors->codebook)
                                 .index_select(0, codes.reshape({-1}).to(at::kInt))
                                 .reshape_as(codes);
  return numbers * over_columns(linear.scales.narrow(0, begin, count), linear);
}

double bits(const QuantizedLinear& linear) {
  const GgufType& type = *find_gguf_type(codebook_shape(linear.vectors->codebook).type);
  return type.bits_per_weight();
}

void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  linear.scales = below_each_other(runs, [](const QuantizedLinear& run) { return run.scales; });
  linear.vectors->scale_codes =
      below_each_other(runs, [](const QuantizedLinear& run) { return run.vectors->scale_codes; });
  linear.vectors->steps =
      below_each_other(runs, [](const QuantizedLinear& run) { return run.vectors->steps; });
}

void check_blocks(const QuantizedLinear& linear) {
  const VectorBlocks& blocks = *linear.vectors;
  check_scales(linear);
  check_tensor("codes of scales", blocks.scale_codes, at::kByte, linear.scales.sizes().vec());
  check_below("codes of scales", blocks.scale_codes, kTopScaleCode + 1);
  check_tensor("steps", blocks.steps, at::kFloat, {linear.out(), linear.in() / kSuperBlock});
  check_float16("steps", blocks.steps);
  require(blocks.steps.ge(0).all().item<bool>(), "steps: one is below 0");
  require(at::equal(linear.scales, group_scales(blocks)), "scales: not those of the super-blocks");
}

void check(const QuantizedLinear& linear) {
  const VectorRule& rule = rule_of(linear.vectors->codebook);
  require(linear.bits == kVectorCodeBits && linear.symmetric && linear.group_size == rule.columns &&
              linear.in() % kSuperBlock == 0,
          "vectors of {}: expected 4 bits, symmetric, groups of {}, columns in multiples of {}",
          rule.type, rule.columns, kSuperBlock);
  check_blocks(linear);
  check_points(linear);
}

}  // namespace

at::Tensor group_scales(const VectorBlocks& blocks) {
  const VectorRule& rule = rule_of(blocks.codebook);
  return blocks.steps.repeat_interleave(rule.groups, 1)
      .mul_(rule.unit)
      .mul_(blocks.scale_codes.to(at::kFloat).mul_(2).add_(1));
}

void check_points(const QuantizedLinear& linear) {
  const VectorRule& rule = rule_of(linear.vectors->codebook);
  require(are_points(rule, linear.codes.const_data_ptr<uint8_t>(), linear.codes.numel()),
          "codes: some are no point of {}", rule.type);
}

template <class T>
VectorGrid<T>::VectorGrid(const GridChoice& choice, const GridContext<T>& context)
    : codebook_(choice.grid.codebook),
      rule_(rule_of(codebook_)),
      kernels_(context.kernels.vector_grid),
      rows_(context.rows),
      thorough_(choice.thorough) {
  const int64_t groups = context.grouping.groups;
  assert(groups % rule_.groups == 0);
  const auto type = c10::CppTypeToScalarType<T>::value;
  scale_codes_ = at::zeros({groups, rows_}, type);
  scales_ = at::zeros({groups, rows_}, type);
  steps_ = at::zeros({groups / rule_.groups, rows_}, type);
  chosen_ = at::zeros({groups * rule_.columns, rows_}, at::kByte);
}

template <class T>
void VectorGrid<T>::fit(Place at, [[maybe_unused]] int64_t columns, const T* tile,
                        const T* importance) {
  assert(columns == kSuperBlock && at.group % rule_.groups == 0);
  std::array<T, kMostGroups * kLanes> codes{};
  std::array<T, kLanes> steps{};
  kernels_.fit(rule_, thorough_, tile, importance, codes.data(), steps.data());
  const auto put = [&](at::Tensor& to, int64_t index, int64_t lane, T number) {
    to.template mutable_data_ptr<T>()[index * rows_ + at.row + lane] = number;
  };
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    put(steps_, at.group / rule_.groups, lane, steps[lane]);
    for (int64_t k = 0; k < rule_.groups; ++k) {
      const T code = codes[k * kLanes + lane];
      put(scale_codes_, at.group + k, lane, code);
      put(scales_, at.group + k, lane, steps[lane] * static_cast<T>(rule_.unit) * (2 * code + 1));
    }
  }
}

template <class T>
void VectorGrid<T>::choose(Place at, const T* tile, const T* importance) {
  std::array<uint8_t, kVectorColumns * kLanes> codes;
  kernels_.choose(rule_, tile, importance,
                  scales_.template const_data_ptr<T>() + at.group * rows_ + at.row, codes.data());
  for (int64_t column = 0; column < kVectorColumns; ++column)
    std::copy_n(codes.data() + column * kLanes, kLanes,
                chosen_.mutable_data_ptr<uint8_t>() + (at.position + column) * rows_ + at.row);
}

template <class T>
void VectorGrid<T>::round(Place at, const T* /*weights*/, uint8_t* codes, T* values) {
  const uint8_t* chosen = chosen_.const_data_ptr<uint8_t>() + at.position * rows_ + at.row;
  const T* scales = scales_.template const_data_ptr<T>() + at.group * rows_ + at.row;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    codes[lane] = chosen[lane];
    const T size = static_cast<T>(rule_.magnitudes[chosen[lane] % kNegative]);
    values[lane] = scales[lane] * (chosen[lane] >= kNegative ? -size : size);
  }
}

template <class T>
void VectorGrid<T>::store(QuantizedLinear& linear) const {
  const auto in_rows = [&](const at::Tensor& numbers, at::ScalarType type) {
    return numbers.narrow(1, 0, linear.out()).t().to(type).contiguous();
  };
  linear.vectors = {.codebook = codebook_,
                    .scale_codes = in_rows(scale_codes_, at::kByte),
                    .steps = in_rows(steps_, at::kFloat)};
  linear.scales = group_scales(*linear.vectors);
}

template class VectorGrid<float>;
template class VectorGrid<double>;

GridEntry vector_entry() {
  return {.kind = GridKind::kVector,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = values,
          .bits = bits,
          .join = join,
          .check = check};
}

}  // namespace halftone
