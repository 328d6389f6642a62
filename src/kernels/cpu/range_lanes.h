// Grids of a min-max range whose zero may be a fraction (methods.md 4.1, "SpQR asym"), on registers
// of kBytes bytes: ranges, rounding, and what leaving one weight out of a group would gain
// (methods.md 5.1).
#pragma once

#include "kernels/cpu/vector.h"
#include "kernels/lane_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct RangeLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;

  static void range(int64_t columns, const T* tile, T* low, T* high) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      Reals least = V::load(tile + lane), greatest = least;
      for (int64_t column = 1; column < columns; ++column) {
        const Reals w = V::load(tile + column * kLanes + lane);
        least = V::smaller(least, w);
        greatest = V::larger(greatest, w);
      }
      V::store(low + lane, least);
      V::store(high + lane, greatest);
    }
  }

  // Clamped before it is rounded: the same, and in reach of Vector::rint.
  static Reals code_of(Reals w, Reals scale, Reals zero, T top) {
    return V::rint(V::smaller(V::larger(w / scale + zero, Reals{}), V::all(top)));
  }

  static void round(int top, const T* weights, const T* scales, const T* zeros, uint8_t* codes,
                    T* values) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Reals scale = V::load(scales + lane), zero = V::load(zeros + lane);
      const Reals code = code_of(V::load(weights + lane), scale, zero, static_cast<T>(top));
      V::store(values + lane, scale * (code - zero));
      V::store_bytes(codes + lane, code);
    }
  }

  // The two least or greatest weights of each lane, and where the first of them is.
  struct Extreme {
    Reals first, second, column;
  };
  struct Extremes {
    Extreme low, high;
  };

  static Extremes extremes(int64_t columns, const T* tile) {
    const T most = static_cast<T>(sizeof(T) == 4 ? 3.4e38 : 1.7e308);
    Extremes found{{V::all(most), V::all(most), Reals{}}, {V::all(-most), V::all(-most), Reals{}}};
    for (int64_t k = 0; k < columns; ++k) {
      const Reals w = V::load(tile + k * kLanes), column = V::all(static_cast<T>(k));
      Extreme &low = found.low, &high = found.high;
      const Integers less = w<low.first, more = w> high.first;
      low = {V::smaller(w, low.first), V::select(less, low.first, V::smaller(w, low.second)),
             V::select(less, column, low.column)};
      high = {V::larger(w, high.first), V::select(more, high.first, V::larger(w, high.second)),
              V::select(more, column, high.column)};
    }
    return found;
  }

  // A min-max grid that is not stored, so nothing of it is rounded.
  struct Plain {
    Reals scale, zero;
    Integers constant;  // all weights in its range are one number, which it hits
    T top;

    Plain(bool symmetric, int greatest, Reals low, Reals high) : top(static_cast<T>(greatest)) {
      const Reals reach = V::larger(V::magnitude(low), V::magnitude(high));
      const T narrow = static_cast<T>(1.0 / (1 << 20));
      constant = high - low <= reach * narrow;
      scale = V::select(constant, V::all(1), (symmetric ? reach + reach : high - low) / top);
      zero = symmetric ? V::all((top + 1) / 2) : V::select(constant, Reals{}, -low / scale);
    }
    // importance * (value - w)^2
    Reals error(Reals w, T importance) const {
      const Reals miss = scale * (code_of(w, scale, zero, top) - zero) - w;
      return V::select(constant, Reals{}, importance * (miss * miss));
    }
  };

  // Sum of the grid's errors over all columns but `without`.
  static Reals error_without(const Plain& grid, int64_t columns, const T* tile, const T* importance,
                             Reals without) {
    Reals sum{};
    for (int64_t k = 0; k < columns; ++k) {
      const Reals error = grid.error(V::load(tile + k * kLanes), importance[k]);
      sum += V::select(without == V::all(static_cast<T>(k)), Reals{}, error);
    }
    return sum;
  }

  static void gains(const RangeRule& rule, int64_t columns, const T* tile, const T* importance,
                    T* gains) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const T* from = tile + lane;
      const Extremes found = extremes(columns, from);
      const Extreme &low = found.low, &high = found.high;
      const Plain full(rule.symmetric, rule.top, low.first, high.first);
      Reals base{};
      for (int64_t k = 0; k < columns; ++k) {
        const Reals error = full.error(V::load(from + k * kLanes), importance[k]);
        base += error;
        V::store(gains + k * kLanes + lane, error);
      }
      if (columns < 2) continue;
      // only the two ends of the range change the grid when they leave
      const Plain raised(rule.symmetric, rule.top, low.second, high.first);
      const Plain lowered(rule.symmetric, rule.top, low.first, high.second);
      const Reals at_low = base - error_without(raised, columns, from, importance, low.column);
      const Reals at_high = base - error_without(lowered, columns, from, importance, high.column);
      for (int64_t k = 0; k < columns; ++k) {
        const Reals column = V::all(static_cast<T>(k));
        Reals gain = V::load(gains + k * kLanes + lane);
        gain = V::select(column == low.column, at_low, gain);
        gain = V::select(column == high.column, at_high, gain);
        V::store(gains + k * kLanes + lane, gain);
      }
    }
  }
};

}  // namespace halftone::cpu
