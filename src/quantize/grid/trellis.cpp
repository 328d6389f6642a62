#include "quantize/grid/trellis.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/float16.h"
#include "base/parallel.h"
#include "quantize/grid/affine.h"
#include "quantize/grid/grid_entries.h"
#include "quantize/linear_rotation.h"
#include "quantize/run_tensors.h"
#include "quantize/tensor_checks.h"

namespace halftone {
namespace {

static_assert(kTrellisSide == kLanes && kTrellisSide * kTrellisSide == kTrellisTile);
static_assert(kTrellisStateBits.least == kLeastStateBits &&
              kTrellisStateBits.most == kMostStateBits);

constexpr int64_t kSampledTiles = 12;
// Scales that are tried, times the one that gives states the weights' root mean square.
constexpr float kFirstFactor = 0.85F, kFactorStep = 0.05F;
constexpr int kFactors = 8;
constexpr float kLeastWeight = 1e-6F;

std::vector<float> values_of(TrellisCode code, int state_bits) {
  const TrellisCodeValue value = find_trellis_code(word_of(code));
  std::vector<float> values(size_t{1} << state_bits);
  for (uint32_t state = 0; state < values.size(); ++state) values[state] = value(state);
  return values;
}

std::unique_ptr<uint8_t[]> scratch_for(const TrellisRule& rule) {
  return std::make_unique_for_overwrite<uint8_t[]>(trellis_scratch_bytes(rule));
}

double mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum / static_cast<double>(values.size());
}

template <class T>
std::unique_ptr<Grid<T>> make(const GridChoice& choice, const GridContext<T>& context) {
  return std::make_unique<TrellisGrid<T>>(choice, context);
}

// One tile: its codes from, and its values to, rows of `in` columns.
void decode_tile(const TrellisRule& rule, const uint8_t* from, int64_t in, const float* scales,
                 float* to) {
  std::array<uint8_t, kTrellisTile> codes;
  std::array<float, kTrellisTile> values;
  for (int64_t column = 0; column < kTrellisSide; ++column)
    for (int64_t row = 0; row < kTrellisSide; ++row)
      codes[column * kTrellisSide + row] = from[row * in + column];
  decode_trellis(rule, codes.data(), values.data());
  for (int64_t column = 0; column < kTrellisSide; ++column)
    for (int64_t row = 0; row < kTrellisSide; ++row)
      to[row * in + column] = scales[row] * values[column * kTrellisSide + row];
}

// Before they are rotated back.
at::Tensor values(const QuantizedLinear& linear, int64_t begin, int64_t count) {
  const std::vector<float> states = values_of(linear.trellis->code, linear.trellis->state_bits);
  const TrellisRule rule{linear.bits, linear.trellis->state_bits, states.data()};
  const int64_t in = linear.in(), first = begin / kTrellisSide * kTrellisSide;
  const int64_t end = (begin + count + kTrellisSide - 1) / kTrellisSide * kTrellisSide;
  at::Tensor result = at::empty({end - first, in}, at::kFloat);
  const at::Tensor codes = linear.codes.contiguous(), scales = linear.scales.contiguous();
  const auto* from = codes.const_data_ptr<uint8_t>();
  auto* to = result.mutable_data_ptr<float>();
  parallel_for(at::get_num_threads(), end - first, kTrellisSide, [&](int64_t low, int64_t high) {
    for (int64_t row = low; row < high; row += kTrellisSide)
      for (int64_t column = 0; column < in; column += kTrellisSide)
        decode_tile(rule, from + (first + row) * in + column, in,
                    scales.const_data_ptr<float>() + first + row, to + row * in + column);
  });
  return result.narrow(0, begin - first, count).contiguous();
}

double bits(const QuantizedLinear& linear) {
  const auto out = static_cast<double>(linear.out()), in = static_cast<double>(linear.in());
  return linear.bits + 16 / in + (linear.is_rotated() ? 1 / in + 1 / out : 0);
}

void join(const std::vector<QuantizedLinear>& runs, QuantizedLinear& linear) {
  linear.scales = below_each_other(runs, [](const QuantizedLinear& run) { return run.scales; });
}

void check(const QuantizedLinear& linear) {
  const TrellisTiles& tiles = *linear.trellis;
  require(linear.bits <= kMostTrellisBits && linear.symmetric && linear.group_size == linear.in() &&
              linear.in() % kTrellisSide == 0 && linear.out() % kTrellisSide == 0,
          "trellis: expected 1 to 4 bits, symmetric, a scale a row, rows and columns in multiples "
          "of {}",
          kTrellisSide);
  require(tiles.state_bits >= kLeastStateBits && tiles.state_bits <= kMostStateBits,
          "state bits: expected {} to {}, found {}", kLeastStateBits, kMostStateBits,
          tiles.state_bits);
  check_scales(linear);
  check_float16("scales", linear.scales);
  if (tiles.rotation) check_rotation(*tiles.rotation, linear.out(), linear.in());
}

// The factor with the least error, and the vertex of the parabola through it and its neighbours.
float least_of(const std::array<double, kFactors>& errors) {
  const auto best = std::min_element(errors.begin(), errors.end()) - errors.begin();
  const auto middle = std::clamp<std::ptrdiff_t>(best, 1, kFactors - 2);
  const double left = errors[middle - 1], right = errors[middle + 1];
  const double bend = left - 2 * errors[middle] + right;
  const double shift = bend > 0 ? std::clamp((left - right) / (2 * bend), -1.0, 1.0) : 0;
  return kFirstFactor + kFactorStep * static_cast<float>(static_cast<double>(middle) + shift);
}

}  // namespace

template <class T>
TrellisGrid<T>::TrellisGrid(const GridChoice& choice, const GridContext<T>& context)
    : options_(choice.grid), kernels_(trellis_kernels()) {
  if (!choice.thorough) options_.state_bits = kLeastStateBits;
  values_ = values_of(options_.code, options_.state_bits);
  rule_ = {options_.bits, options_.state_bits, values_.data()};
  const T least = *std::min_element(context.pivots.begin(), context.pivots.end());
  for (const T pivot : context.pivots)
    column_weights_.push_back(
        std::max(static_cast<float>(least / pivot * (least / pivot)), kLeastWeight));
  scales_ = at::zeros({context.rows}, at::kFloat);
  codes_ = at::zeros({context.rows / kTrellisSide, kTrellisTile}, at::kByte);
  chosen_ = at::zeros({context.rows / kTrellisSide, kTrellisTile}, at::kFloat);
  scale_of_unit_ = best_scale(context);
}

// Of the weights that are to be rounded, some tiles, each row brought to a root mean square of 1.
template <class T>
float TrellisGrid<T>::best_scale(const GridContext<T>& context) const {
  const double unit = 1 / std::sqrt(mean_square(values_));
  const int64_t rows = context.rows, tiles = rows / kTrellisSide;
  const int64_t in = context.original.size(0);
  const auto* weights = context.original.template const_data_ptr<T>();
  std::array<std::array<double, kFactors>, kSampledTiles> errors{};
  parallel_for(context.threads, kSampledTiles, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = scratch_for(rule_);
    std::array<float, kTrellisTile> tile, x, even, found;
    std::array<uint8_t, kTrellisTile> codes;
    even.fill(1);
    for (int64_t sample = begin; sample < end; ++sample) {
      const int64_t row = sample * tiles / kSampledTiles * kTrellisSide;
      const int64_t column = sample * 7 % kSampledTiles * (in / kTrellisSide) / kSampledTiles;
      double squares = 0;
      for (int64_t i = 0; i < kTrellisTile; ++i) {
        tile[i] = static_cast<float>(
            weights[(column * kTrellisSide + i / kTrellisSide) * rows + row + i % kTrellisSide]);
        squares += static_cast<double>(tile[i]) * tile[i];
      }
      if (squares == 0) continue;
      const double root = std::sqrt(squares / kTrellisTile);
      for (int factor = 0; factor < kFactors; ++factor) {
        const auto scale = static_cast<float>(
            root * unit * (kFirstFactor + kFactorStep * static_cast<float>(factor)));
        for (int64_t i = 0; i < kTrellisTile; ++i) x[i] = tile[i] / scale;
        kernels_.encode(rule_, x.data(), even.data(), codes.data(), scratch.get());
        decode_trellis(rule_, codes.data(), found.data());
        for (int64_t i = 0; i < kTrellisTile; ++i) {
          const double off = (static_cast<double>(tile[i]) - scale * found[i]) / root;
          errors[sample][factor] += off * off;
        }
      }
    }
  });
  std::array<double, kFactors> sums{};
  for (const auto& sample : errors)
    for (int factor = 0; factor < kFactors; ++factor) sums[factor] += sample[factor];
  return static_cast<float>(unit) * least_of(sums);
}

template <class T>
void TrellisGrid<T>::fit(Place at, int64_t columns, const T* tile, const T* /*importance*/) {
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    double squares = 0;
    for (int64_t column = 0; column < columns; ++column) {
      const double weight = tile[column * kLanes + lane];
      squares += weight * weight;
    }
    const double root = std::sqrt(squares / static_cast<double>(columns));
    scales_.mutable_data_ptr<float>()[at.row + lane] = nearest_float16(root * scale_of_unit_);
  }
}

template <class T>
void TrellisGrid<T>::choose(Place at, const T* tile, const T* /*importance*/) {
  const float* scales = scales_.const_data_ptr<float>() + at.row;
  const float greatest = *std::max_element(scales, scales + kLanes);
  const int64_t index = at.row / kTrellisSide;
  std::array<float, kTrellisTile> x{}, weights{};
  for (int64_t i = 0; i < kTrellisTile; ++i) {
    const float scale = scales[i % kLanes], share = greatest > 0 ? scale / greatest : 1;
    x[i] = scale > 0 ? static_cast<float>(tile[i] / static_cast<T>(scale)) : 0;
    weights[i] = column_weights_[at.position + i / kLanes] * std::max(share * share, kLeastWeight);
  }
  auto* codes = codes_.mutable_data_ptr<uint8_t>() + index * kTrellisTile;
  auto* chosen = chosen_.mutable_data_ptr<float>() + index * kTrellisTile;
  kernels_.encode(rule_, x.data(), weights.data(), codes, scratch_for(rule_).get());
  decode_trellis(rule_, codes, chosen);
}

template <class T>
void TrellisGrid<T>::round(Place at, const T* /*weights*/, uint8_t* codes, T* values) {
  const int64_t first =
      at.row / kTrellisSide * kTrellisTile + at.position % kTrellisSide * kTrellisSide;
  const float* scales = scales_.const_data_ptr<float>() + at.row;
  const float* chosen = chosen_.const_data_ptr<float>() + first;
  std::copy_n(codes_.const_data_ptr<uint8_t>() + first, kLanes, codes);
  for (int64_t lane = 0; lane < kLanes; ++lane) values[lane] = scales[lane] * chosen[lane];
}

template <class T>
void TrellisGrid<T>::store(QuantizedLinear& linear) const {
  linear.trellis = {.code = options_.code, .state_bits = options_.state_bits, .rotation = {}};
  linear.scales = scales_.narrow(0, 0, linear.out()).unsqueeze(1).contiguous();
}

template class TrellisGrid<float>;
template class TrellisGrid<double>;

GridEntry trellis_entry() {
  return {.kind = GridKind::kTrellis,
          .needs_pivots = true,
          .make_float = make<float>,
          .make_double = make<double>,
          .values = values,
          .bits = bits,
          .join = join,
          .check = check};
}

}  // namespace halftone
