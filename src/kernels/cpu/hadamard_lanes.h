// Rows times a Hadamard matrix, lane by lane (kernels/lane_kernels.h). Included once per
// instruction set; see vector.h. Only sums, differences and one product a number, in one order.
#pragma once

#include "kernels/cpu/vector.h"
#include "kernels/lane_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct HadamardLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;

  // Pairs of columns 1, 2, 4, ... apart.   tile: (power, 16) from a lane on
  static void sylvester(int64_t power, T* tile) {
    for (int64_t apart = 1; apart < power; apart *= 2)
      for (int64_t block = 0; block < power; block += 2 * apart)
        for (int64_t i = block; i < block + apart; ++i) {
          T *low = tile + i * kLanes, *high = low + apart * kLanes;
          const Reals a = V::load(low), b = V::load(high);
          V::store(low, a + b);
          V::store(high, a - b);
        }
  }

  // tile, scratch: (core, power, 16) from a lane on
  static void times_core(const HadamardRule& rule, const T* tile, T* scratch) {
    const int64_t stride = rule.power * kLanes;
    for (int64_t i = 0; i < rule.power; ++i)
      for (int64_t column = 0; column < rule.core; ++column) {
        Reals sum{};
        for (int64_t row = 0; row < rule.core; ++row) {
          const Reals x = V::load(tile + row * stride + i * kLanes);
          sum = rule.signs[row * rule.core + column] > 0 ? sum + x : sum - x;
        }
        V::store(scratch + column * stride + i * kLanes, sum);
      }
  }

  static void multiply(const HadamardRule& rule, T* tile, T* scratch) {
    const int64_t count = rule.core * rule.power;
    const Reals scale = V::all(static_cast<T>(rule.scale));
    for (int lane = 0; lane < kLanes; lane += V::width) {
      for (int64_t row = 0; row < rule.core; ++row)
        sylvester(rule.power, tile + row * rule.power * kLanes + lane);
      if (rule.core > 1) times_core(rule, tile + lane, scratch + lane);
      const T* from = (rule.core > 1 ? scratch : tile) + lane;
      for (int64_t i = 0; i < count; ++i)
        V::store(tile + i * kLanes + lane, V::load(from + i * kLanes) * scale);
    }
  }
};

}  // namespace halftone::cpu
