// Viterbi's algorithm over the states of a bitshift trellis (kernels/trellis_kernels.h). Included
// once per instruction set; see vector.h. Compiled without fused multiply-adds (cmake/Rooms.cmake),
// so that costs, and with them codes, are the same numbers everywhere.
//
// A state s of L bits is followed by s' = (s << K | code) mod 2^L. Its class is s' >> K: what a
// step starts from is the least cost of each class, and what it leaves is that of the next step's
// classes, each the least of 2^K states, s = class + j 2^(L - K).
#pragma once

#include <utility>

#include "kernels/cpu/vector.h"
#include "kernels/trellis_kernels.h"

namespace halftone::cpu {

template <int kBytes>
struct TrellisStates {
  using V = Vector<float, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;

  static constexpr float kFar = 1e30F;  // a class that may not be
  // Bits on either side of the start that choose its class: the more, the better, at 2 bits by 0.1
  // % of the error from here to the whole tile.
  static constexpr int kAcross = 128;

  // The tile's numbers in the order they are coded, and what a step is worth in units of the next.
  struct Sequence {
    float x[kTrellisTile], ratio[kTrellisTile];
    int steps;
  };

  // `steps` of them from `first` on, around the circle. Costs are kept in units of the weight of
  // the step at hand.
  static void take(const float* x, const float* weights, int first, int steps, Sequence& to) {
    to.steps = steps;
    for (int step = 0; step < steps; ++step) {
      const int at = (first + step) % kTrellisTile, next = (at + 1) % kTrellisTile;
      to.x[step] = x[at];
      to.ratio[step] = weights[at] / weights[next];
    }
  }

  // from[i >> kShift] for each lane i
  template <int kShift, int... kLane>
  static Reals spread(const float* from, std::integer_sequence<int, kLane...>) {
    const Reals near = V::load(from);
    return __builtin_shufflevector(near, near, (kLane >> kShift)...);
  }

  // One step: before, after: (2^(L - K)) least costs of classes; pointers: (2^(L - 4)) packed j, or
  // null
  template <int kBits>
  static void step(const TrellisRule& rule, float number, float ratio, const float* before,
                   float* after, uint8_t* pointers) {
    constexpr int kPacked = 1 << (4 - kBits), kBitsApart = 8 / kPacked;
    const int classes = 1 << (rule.state_bits - kBits), apart = 1 << (rule.state_bits - 4);
    const Reals x = V::all(number), unit = V::all(ratio);
    for (int first = 0; first < apart; first += V::width) {
      Integers packed{};
      for (int part = 0; part < kPacked; ++part) {
        const int begin = part * apart + first;
        Reals best{};
        Integers from{};
        for (int j = 0; j < 1 << kBits; ++j) {
          const int state = begin + j * classes;
          const Reals entered =
              spread<kBits>(before + (state >> kBits), std::make_integer_sequence<int, V::width>());
          const Reals off = x - V::load(rule.values + state);
          const Reals cost = entered + off * off;
          if (j == 0) {
            best = cost;
            continue;
          }
          const Integers better = cost < best;
          best = V::select(better, cost, best);
          from = better ? Integers{} + j : from;
        }
        V::store(after + begin, best * unit);
        packed |= from << (part * kBitsApart);
      }
      if (pointers == nullptr) continue;
      const typename V::Bytes bytes = __builtin_convertvector(packed, typename V::Bytes);
      __builtin_memcpy(pointers + first, &bytes, sizeof bytes);
    }
  }

  static int pointer_at(const TrellisRule& rule, const uint8_t* pointers, int state_class) {
    const int apart = 1 << (rule.state_bits - 4);
    const int bits_apart = 8 >> (4 - rule.bits);
    const int packed = pointers[state_class & (apart - 1)];
    return packed >> (state_class / apart * bits_apart) & ((1 << rule.bits) - 1);
  }

  static void any_step(const TrellisRule& rule, float x, float ratio, const float* before,
                       float* after, uint8_t* pointers) {
    switch (rule.bits) {
      case 1:
        return step<1>(rule, x, ratio, before, after, pointers);
      case 2:
        return step<2>(rule, x, ratio, before, after, pointers);
      case 3:
        return step<3>(rule, x, ratio, before, after, pointers);
      default:
        return step<4>(rule, x, ratio, before, after, pointers);
    }
  }

  struct Work {
    float *costs, *others;
    uint8_t* pointers;  // (steps, 2^(L - 4))
  };

  static Work work_in(const TrellisRule& rule, void* scratch) {
    const int classes = 1 << (rule.state_bits - rule.bits), list = classes + kTrellisPadding;
    auto* numbers = static_cast<float*>(scratch);
    for (int i = 0; i < 2 * list; ++i) numbers[i] = 0;
    return {numbers, numbers + list, reinterpret_cast<uint8_t*>(numbers + 2 * list)};
  }

  // All steps; work.costs holds the classes' costs before and after. Predecessors are kept from the
  // step `kept` on.
  static void run(const TrellisRule& rule, const Sequence& sequence, int kept, Work& work) {
    const size_t bytes = size_t{1} << (rule.state_bits - 4);
    for (int at = 0; at < sequence.steps; ++at) {
      any_step(rule, sequence.x[at], sequence.ratio[at], work.costs, work.others,
               at < kept ? nullptr : work.pointers + static_cast<size_t>(at) * bytes);
      float* swapped = work.costs;
      work.costs = work.others;
      work.others = swapped;
    }
  }

  // From the class after the last step back to the one before `first`, with every state between in
  // states[step].
  static int trace(const TrellisRule& rule, const Work& work, int state_class, int first, int last,
                   int* states) {
    const size_t bytes = size_t{1} << (rule.state_bits - 4);
    const int class_bits = rule.state_bits - rule.bits;
    for (int at = last; at >= first; --at) {
      const uint8_t* pointers = work.pointers + static_cast<size_t>(at) * bytes;
      const int state = state_class | pointer_at(rule, pointers, state_class) << class_bits;
      if (states != nullptr) states[at] = state;
      state_class = state >> rule.bits;
    }
    return state_class;
  }

  // The class of the tile's first state that is best across its start.
  static int class_of_start(const TrellisRule& rule, const float* x, const float* weights,
                            void* scratch) {
    const int side = kAcross / rule.bits;
    Sequence across;
    take(x, weights, kTrellisTile - side, 2 * side, across);
    Work work = work_in(rule, scratch);
    run(rule, across, side, work);
    const int classes = 1 << (rule.state_bits - rule.bits);
    int best = 0;
    for (int i = 1; i < classes; ++i)
      if (work.costs[i] < work.costs[best]) best = i;
    return trace(rule, work, best, side, across.steps - 1, nullptr);
  }

  static void encode(const TrellisRule& rule, const float* x, const float* weights, uint8_t* codes,
                     void* scratch) {
    const int start = class_of_start(rule, x, weights, scratch);
    Sequence tile;
    take(x, weights, 0, kTrellisTile, tile);
    Work work = work_in(rule, scratch);
    const int classes = 1 << (rule.state_bits - rule.bits);
    for (int i = 0; i < classes; ++i) work.costs[i] = kFar;
    work.costs[start] = 0;
    run(rule, tile, 0, work);
    int states[kTrellisTile];
    trace(rule, work, start, 0, kTrellisTile - 1, states);
    for (int at = 0; at < kTrellisTile; ++at)
      codes[at] = static_cast<uint8_t>(states[at] & ((1 << rule.bits) - 1));
  }

  static constexpr TrellisKernels kernels() { return {encode}; }
};

TrellisKernels trellis_kernels_portable();
TrellisKernels trellis_kernels_avx2();
TrellisKernels trellis_kernels_avx512();

}  // namespace halftone::cpu
