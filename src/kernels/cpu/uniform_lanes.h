// Uniform grids, lane by lane (methods.md 4.1, 4.6): min-max fit, clip search, rounding. Included
// once per instruction set; see vector.h.
#pragma once

#include "kernels/cpu/binary_lanes.h"
#include "kernels/cpu/hadamard_lanes.h"
#include "kernels/cpu/range_lanes.h"
#include "kernels/cpu/super_block_lanes.h"
#include "kernels/cpu/vector.h"
#include "kernels/cpu/vector_grid_lanes.h"
#include "kernels/lane_kernels.h"

namespace halftone::cpu {

inline constexpr double kFar = 3e38;  // beyond every weight

template <class T, int kBytes>
struct UniformLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;

  struct Range {
    Reals low, high;  // least and greatest weight
  };
  struct Grid {
    Reals scale, zero;
  };
  struct Group {
    int64_t columns;
    const T* tile;        // (columns, 16)
    const T* importance;  // (columns)
    const T* members;     // (columns, 16), 1 where a weight counts, else 0; null: all do

    Group from(int lane) const {
      return {columns, tile + lane, importance, members ? members + lane : nullptr};
    }
  };

  // Keeps the rule's significant bits (0: those of a float32), to nearest, half to even, and makes
  // it a scale that the file can hold. All-zero weights: 2^-14.
  static Reals round_scale(const UniformRule& rule, Reals scale) {
    const Integers zeros = scale == 0;
    scale = V::with_bits(scale, rule.scale_bits == 0 ? 24 : rule.scale_bits);
    if (rule.float16_scales) scale = V::as_float16(scale, scale);
    scale = V::larger(scale, V::all(static_cast<T>(least_scale(rule.float16_scales))));
    return V::select(zeros, V::all(static_cast<T>(kScaleOfZeros)), scale);
  }

  static Grid grid_of(const UniformRule& rule, Range range) {
    const T top = static_cast<T>(rule.top);
    if (rule.symmetric) {
      const Reals reach = V::larger(V::magnitude(range.low), V::magnitude(range.high));
      return {round_scale(rule, (reach + reach) / top), V::all((top + 1) / 2)};
    }
    const Reals low = V::smaller(range.low, Reals{}), high = V::larger(range.high, Reals{});
    Grid grid{round_scale(rule, (high - low) / top), {}};
    grid.zero = V::rint(V::smaller(-low / grid.scale, V::all(top)));
    if (rule.zero_min >
        0) {  // codes below the least zero are lost to positive weights: widen the steps
      const T least = static_cast<T>(rule.zero_min);
      const Integers raise = grid.zero < least;
      const Reals wider = round_scale(rule, high / (top - least));
      grid.scale = V::select(raise, V::larger(wider, grid.scale), grid.scale);
      grid.zero = V::select(raise, V::all(least), grid.zero);
    }
    return grid;
  }

  // Of a symmetric grid whose scale may be negative: the longer side has the code that the other
  // has not, and ends there.
  static Grid signed_grid_of(const UniformRule& rule, Range range) {
    const Reals half = V::all(static_cast<T>((rule.top + 1) / 2));
    const Reals scale =
        round_scale(rule, V::larger(V::magnitude(range.low), V::magnitude(range.high)) / half);
    return {V::select(range.high > -range.low, -scale, scale), half};
  }

  // Replaces the grid of lanes whose weights are all the same number v: scale |v|, one code hits v.
  static Grid constant_grid(const UniformRule& rule, Range range, Grid grid) {
    const Integers constant = (range.low == range.high) & (range.low != 0);
    const Reals scale = round_scale(rule, V::magnitude(range.low));
    grid.scale = V::select(constant, scale, grid.scale);
    if (rule.symmetric) return grid;
    const Reals least = V::all(static_cast<T>(rule.zero_min));
    const Reals one = V::larger(least, V::all(1));
    grid.zero = V::select(constant, V::select(range.low < 0, one, least), grid.zero);
    return grid;
  }

  // Steps w / scale - zero-based, clamped to the codes and rounded: code - zero.
  static Reals steps(Reals ratio, Reals zero, T top) {
    return V::rint(V::smaller(V::larger(ratio, -zero), top - zero));
  }

  static Range range_of(const Group& group) {
    if (group.members) return range_of_members(group);
    Range range{V::load(group.tile), V::load(group.tile)};
    for (int64_t column = 1; column < group.columns; ++column) {
      const Reals w = V::load(group.tile + column * kLanes);
      range = {V::smaller(range.low, w), V::larger(range.high, w)};
    }
    return range;
  }

  // {0, 0} for lanes without members.
  static Range range_of_members(const Group& group) {
    const Reals far = V::all(static_cast<T>(kFar));
    Range range{far, -far};
    for (int64_t column = 0; column < group.columns; ++column) {
      const Reals w = V::load(group.tile + column * kLanes);
      const Integers counts = V::load(group.members + column * kLanes) != 0;
      range = {V::select(counts, V::smaller(range.low, w), range.low),
               V::select(counts, V::larger(range.high, w), range.high)};
    }
    const Integers none = range.low > range.high;
    return {V::select(none, Reals{}, range.low), V::select(none, Reals{}, range.high)};
  }

  static Reals power(Reals x, T norm, Reals offset) {
    if constexpr (sizeof(T) == 4) {
      return scaled_power<kBytes>(x, norm, offset);
    } else {
      for (int i = 0; i < V::width; ++i) x[i] = ::pow(::fabs(x[i]), norm);
      return x;
    }
  }

  // sum over columns of importance |value - w|^norm, times 2^offset; stops where no lane can be
  // below `best`.
  static Reals error_of(const UniformRule& rule, Grid grid, const Group& group, Reals offset,
                        Reals best) {
    const Reals inverse = 1 / grid.scale;
    const T top = static_cast<T>(rule.top), norm = static_cast<T>(rule.clip_norm);
    Reals sum{};
    for (int64_t column = 0; column < group.columns; ++column) {
      const Reals w = V::load(group.tile + column * kLanes);
      Reals miss = steps(w * inverse, grid.zero, top) * grid.scale - w;
      if (group.members) miss *= V::load(group.members + column * kLanes);
      sum += group.importance[column] * power(miss, norm, offset);
      if (column % 16 == 15 && !V::any(sum < best)) break;
    }
    return sum;
  }

  // The first strict minimum over the shrunk ranges.
  static Grid search(const UniformRule& rule, Range range, Grid full, const Group& group) {
    // float32: errors are taken relative to the range, so that none under- or overflows
    Reals offset{};
    if constexpr (sizeof(T) == 4) {
      const auto exponent = (V::bits_of(full.scale) >> Bits<T>::mantissa) - 127;
      offset = -__builtin_convertvector(exponent, Reals) * static_cast<T>(rule.clip_norm);
    }
    Grid chosen = full;
    Reals best = V::all(static_cast<T>(sizeof(T) == 4 ? kFar : 1e308));
    for (int i = 0; i < (rule.signed_scale ? 2 : 1) * rule.candidates; ++i) {
      const T share = static_cast<T>(1 - i % rule.candidates / 100.0);
      Grid grid = i == 0 ? full : grid_of(rule, {range.low * share, range.high * share});
      if (i >= rule.candidates) grid.scale = -grid.scale;
      const Reals error = error_of(rule, grid, group, offset, best);
      const Integers better = error < best;
      best = V::select(better, error, best);
      chosen = {V::select(better, grid.scale, chosen.scale),
                V::select(better, grid.zero, chosen.zero)};
    }
    return chosen;
  }

  static void fit(const UniformRule& rule, int64_t columns, const T* tile, const T* importance,
                  T* scales, T* zeros) {
    fit_members(rule, columns, tile, importance, nullptr, scales, zeros);
  }

  static void fit_members(const UniformRule& rule, int64_t columns, const T* tile,
                          const T* importance, const T* members, T* scales, T* zeros) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Group group = Group{columns, tile, importance, members}.from(lane);
      const Range range = range_of(group);
      Grid grid = grid_of(rule, range);
      if (rule.candidates > 1)
        grid = search(rule, range, grid, group);
      else if (rule.signed_scale)
        grid = signed_grid_of(rule, range);
      grid = constant_grid(rule, range, grid);
      V::store(scales + lane, grid.scale);
      V::store(zeros + lane, grid.zero);
    }
  }

  static void round(const UniformRule& rule, const T* weights, const T* scales, const T* zeros,
                    uint8_t* codes, T* values) {
    constexpr T kSlack =
        static_cast<T>(1e-6);  // what rounding the scale to float32 may take off a tie
    const T top = static_cast<T>(rule.top), tie = (1 + kSlack) * -top / 2;
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Reals scale = V::load(scales + lane), zero = V::load(zeros + lane);
      const Reals ratio = V::load(weights + lane) / scale;
      Reals step = steps(ratio, zero, top);
      if (rule.symmetric) step = V::select(ratio >= tie, V::larger(step, 1 - zero), step);
      V::store(values + lane, step * scale);
      V::store_bytes(codes + lane, step + zero);
    }
  }
};

template <class T, int kBytes>
void take_error_lanes(T pivot, const T* start, const T* values, T* column, T* error,
                      T* difference) {
  using V = Vector<T, kBytes>;
  for (int lane = 0; lane < kLanes; lane += V::width) {
    const auto value = V::load(values + lane), off = V::load(start + lane) - value;
    const auto e = (V::load(column + lane) - value) / pivot;
    V::store(column + lane, e);
    V::store(error + lane, V::load(error + lane) + e * e);
    V::store(difference + lane, V::load(difference + lane) + off * off);
  }
}

template <class T, int kBytes>
void subtract_outer_lanes(int64_t columns, const T* factors, const T* lanes, T* tile) {
  using V = Vector<T, kBytes>;
  constexpr int kParts = kLanes / V::width;
  typename V::Reals value[kParts];
  for (int part = 0; part < kParts; ++part) value[part] = V::load(lanes + part * V::width);
  for (int64_t column = 0; column < columns; ++column) {
    T* to = tile + column * kLanes;
    for (int part = 0; part < kParts; ++part)
      V::store(to + part * V::width, V::load(to + part * V::width) - factors[column] * value[part]);
  }
}

template <class T, int kBytes>
constexpr LaneKernels<T> lane_kernels_of() {
  return {UniformLanes<T, kBytes>::fit,          UniformLanes<T, kBytes>::fit_members,
          UniformLanes<T, kBytes>::round,        take_error_lanes<T, kBytes>,
          subtract_outer_lanes<T, kBytes>,       RangeLanes<T, kBytes>::range,
          RangeLanes<T, kBytes>::round,          RangeLanes<T, kBytes>::gains,
          HadamardLanes<T, kBytes>::multiply,    BinaryLanes<T, kBytes>::kernels(),
          SuperBlockLanes<T, kBytes>::kernels(), VectorGridLanes<T, kBytes>::kernels()};
}

// One definition a file FILE_<set>.cpp; linked where that set is compiled.
LaneKernels<float> lane_kernels_portable(float);
LaneKernels<double> lane_kernels_portable(double);
LaneKernels<float> lane_kernels_avx2(float);
LaneKernels<double> lane_kernels_avx2(double);
LaneKernels<float> lane_kernels_avx512(float);
LaneKernels<double> lane_kernels_avx512(double);

}  // namespace halftone::cpu
