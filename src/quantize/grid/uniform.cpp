#include "quantize/grid/uniform.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <tuple>

#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"

namespace halftone {
namespace {

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  return std::make_unique<UniformGrid<T>>(rule_of(choice), context.kernels, context.grouping.groups,
                                          context.rows);
}

double bits(const QuantizedLinear& linear) {
  return affine_bits(linear, 16 + bits_of_zero(linear));
}

void check(const QuantizedLinear& linear) {
  check_scales(linear);
  check_integer_zeros(linear);
}

}  // namespace

UniformRule uniform_rule(const GridOptions& options) {
  UniformRule rule;
  rule.top = (1 << options.bits) - 1;
  rule.symmetric = options.symmetric;
  rule.zero_min = options.symmetric ? 0 : options.zero_min;
  rule.scale_bits = options.significant_scale_bits();
  rule.candidates = options.clip_search ? 80 : 1;
  rule.clip_norm = options.clip_norm;
  rule.signed_scale = options.signed_scale;
  rule.float16_scales = options.float16_scales;
  return rule;
}

UniformRule rule_of(const GridChoice& choice) {
  UniformRule rule = uniform_rule(choice.grid);
  if (!choice.thorough) rule.candidates = 1;
  return rule;
}

template <class T>
UniformGrid<T>::UniformGrid(const UniformRule& rule, const LaneKernels<T>& kernels, int64_t groups,
                            int64_t rows)
    : rule_(rule), kernels_(kernels), rows_(rows) {
  const auto type = c10::CppTypeToScalarType<T>::value;
  scales_ = at::ones({groups, rows}, type);
  zeros_ = at::zeros({groups, rows}, type);
  scale_of_ = scales_.template mutable_data_ptr<T>();
  zero_of_ = zeros_.template mutable_data_ptr<T>();
}

template <class T>
void UniformGrid<T>::fit(Place at, int64_t columns, const T* tile, const T* importance) {
  const int64_t where = at.group * rows_ + at.row;
  kernels_.fit_uniform(rule_, columns, tile, importance, scale_of_ + where, zero_of_ + where);
}

template <class T>
void UniformGrid<T>::round(Place at, const T* weights, uint8_t* codes, T* values) {
  const int64_t where = at.group * rows_ + at.row;
  kernels_.round_uniform(rule_, weights, scale_of_ + where, zero_of_ + where, codes, values);
}

template <class T>
void UniformGrid<T>::range(Place at, T* low, T* high) const {
  const int64_t where = at.group * rows_ + at.row;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    const T scale = scale_of_[where + lane];
    const T zero = rule_.symmetric ? static_cast<T>((rule_.top + 1) / 2) : zero_of_[where + lane];
    std::tie(low[lane], high[lane]) =
        std::minmax({-scale * zero, scale * (static_cast<T>(rule_.top) - zero)});
  }
}

template <class T>
void UniformGrid<T>::store(QuantizedLinear& linear) const {
  const auto in_rows = [&](const at::Tensor& by_group, at::ScalarType type) {
    return by_group.narrow(1, 0, linear.out()).t().to(type).contiguous();
  };
  linear.scales = in_rows(scales_, at::kFloat);
  linear.zeros = in_rows(zeros_, at::kByte);
}

template class UniformGrid<float>;
template class UniformGrid<double>;

GridEntry uniform_entry() {
  return {.kind = GridKind::kUniform,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = affine_values,
          .bits = bits,
          .join = join_affine,
          .check = check};
}

}  // namespace halftone
