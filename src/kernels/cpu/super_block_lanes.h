// Super-blocks, lane by lane (kernels/super_block_kernels.h; methods.md 4.3). Included once per
// instruction set; see vector.h.
//
// Three steps. Each group by itself: rounding for many scales, each refitted by least squares. Then
// one scale for all groups, of which theirs become multiples. Then descent on the true error: the
// codes of each group's scale and offset one up or down, the block's own two numbers by least
// squares, as long as that gains.
#pragma once

#include "kernels/cpu/vector.h"
#include "kernels/lane_kernels.h"
#include "kernels/super_block_kernels.h"

namespace halftone::cpu {

inline constexpr int kMostGroups = 16;  // of a super-block

template <class T, int kBytes>
struct SuperBlockLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;

  static constexpr int kShares = 5, kRangeSteps = 10, kSignedSteps = 19, kDescents = 3;
  static constexpr T kFarthest = 16;

  // What is tried around the code of the greatest number: so many steps to either side.
  struct Around {
    int steps;
    double apart;
  };
  static constexpr Around kAround{4, 0.1}, kAroundUneven{16, 0.5};

  struct Grid {  // of a group: value = scale * code - offset
    Reals scale, offset;
  };
  struct Group {
    const T* tile;        // (columns, 16) from the lanes' first
    const T* importance;  // (columns)
    int columns;

    Reals weights(int column) const { return V::load(tile + column * kLanes); }
  };
  struct Block {  // of 16 rows, from the lanes' first
    const SuperBlockRule& rule;
    const T* tile;
    const T* importance;

    Group group(int index) const {
      const int first = index * rule.columns;
      return {tile + first * kLanes, importance + first, rule.columns};
    }
  };
  // What a block's numbers are while they are looked for.
  struct Numbers {
    Reals scale, offset;
    Reals scale_codes[kMostGroups], offset_codes[kMostGroups];
    Reals errors[kMostGroups];

    Grid grid(int group) const {
      return {scale * scale_codes[group], offset * offset_codes[group]};
    }
    Reals error(int groups) const {
      Reals sum{};
      for (int group = 0; group < groups; ++group) sum += errors[group];
      return sum;
    }
  };

  static Reals clamp(Reals x, T low, T high) {
    return V::smaller(V::larger(x, V::all(low)), V::all(high));
  }
  // 1 / x, 0 for 0.
  static Reals inverse(Reals x) {
    return V::select(x == 0, Reals{}, 1 / V::select(x == 0, V::all(1), x));
  }
  // a / b where b > 0, else 0.
  static Reals ratio(Reals a, Reals b) {
    return V::select(b > 0, a / V::select(b > 0, b, V::all(1)), Reals{});
  }

  // The nearest float16, half to even; no number here is beyond that type.
  static Reals float16(Reals x) {
    const Reals size = V::magnitude(x), half = V::as_float16(V::with_bits(size, 11), size);
    return V::select(x < 0, -half, half);
  }

  // The nearest number that a block's scale may be.
  static Reals step_number(const SuperBlockRule& rule, Reals x) {
    if (rule.step == StepKind::kFloat16) return float16(x);
    const Reals size = V::magnitude(x);
    if (rule.step == StepKind::kPowerOfTwo)
      return clamp(V::with_bits(size, 1), static_cast<T>(0x1p-24), static_cast<T>(0x1p15));
    constexpr T kUnit = static_cast<T>(kUe4m3Unit);
    constexpr T kLeastNormal = kUnit * static_cast<T>(0x1p-6), kLast = kLeastNormal / 8;
    const Reals few = V::smaller(size, V::all(kLeastNormal));
    const Reals rounded =
        V::select(size < kLeastNormal, V::rint(few / kLast) * kLast, V::with_bits(size, 4));
    return clamp(rounded, kLast, kUnit * 448);
  }

  // What the nearest code stands for: the code itself, or its level.
  static Reals nearest(const SuperBlockRule& rule, Reals x) {
    if (rule.levels == nullptr)
      return V::rint(clamp(x, static_cast<T>(rule.least), static_cast<T>(rule.top)));
    Reals level = V::all(static_cast<T>(rule.levels[0]));
    for (int k = 1; k < rule.level_count; ++k) {
      const T middle = static_cast<T>(0.5 * (rule.levels[k - 1] + rule.levels[k]));
      level = V::select(x > middle, V::all(static_cast<T>(rule.levels[k])), level);
    }
    return level;
  }
  static Reals code_of(const SuperBlockRule& rule, Reals w, Grid grid, Reals inverse_scale) {
    return nearest(rule, (w + grid.offset) * inverse_scale);
  }
  // From 0 up.
  static Reals stored(const SuperBlockRule& rule, Reals code) {
    if (rule.levels == nullptr) return code - static_cast<T>(rule.least);
    Reals index{};
    for (int k = 1; k < rule.level_count; ++k)
      index = V::select(code >= static_cast<T>(rule.levels[k]), V::all(static_cast<T>(k)), index);
    return index;
  }

  static Reals error_of(const SuperBlockRule& rule, const Group& group, Grid grid) {
    const Reals inverse_scale = inverse(grid.scale);
    Reals sum{};
    for (int column = 0; column < group.columns; ++column) {
      const Reals w = group.weights(column);
      const Reals miss = code_of(rule, w, grid, inverse_scale) * grid.scale - grid.offset - w;
      sum += group.importance[column] * (miss * miss);
    }
    return sum;
  }

  // Sums over a group's rounded weights that least squares need.
  struct Sums {
    Reals one{}, q{}, qq{}, w{}, wq{};

    void add(T importance, Reals code, Reals weight) {
      one += V::all(importance);
      q += importance * code;
      qq += importance * (code * code);
      w += importance * weight;
      wq += importance * (code * weight);
    }
    // The best scale and offset for these codes; an offset below 0 is none.
    Grid affine() const {
      const Reals determinant = one * qq - q * q;
      const Integers solvable = determinant > 0;
      const Reals offset = V::select(solvable, ratio(q * wq - qq * w, determinant), Reals{});
      const Reals scale = V::select(solvable, ratio(one * wq - q * w, determinant), Reals{});
      const Integers none = offset <= 0;
      return {V::select(none, ratio(wq, qq), scale), V::select(none, Reals{}, offset)};
    }
  };

  static Sums sums_of(const SuperBlockRule& rule, const Group& group, Grid grid) {
    const Reals inverse_scale = inverse(grid.scale);
    Sums sums;
    for (int column = 0; column < group.columns; ++column) {
      const Reals w = group.weights(column);
      sums.add(group.importance[column], code_of(rule, w, grid, inverse_scale), w);
    }
    return sums;
  }

  static void keep_better(const SuperBlockRule& rule, const Group& group, Grid grid, Grid& best,
                          Reals& least) {
    const Reals error = error_of(rule, group, grid);
    const Integers better = error < least;
    least = V::select(better, error, least);
    best = {V::select(better, grid.scale, best.scale), V::select(better, grid.offset, best.offset)};
  }

  // A group by itself where it has an offset: of ranges whose lower end is cut off by and by, and
  // for each of a few scales.
  static Grid fit_affine(const SuperBlockRule& rule, const Group& group) {
    Reals low{}, high{};  // 0 is always within
    for (int column = 0; column < group.columns; ++column) {
      low = V::smaller(low, group.weights(column));
      high = V::larger(high, group.weights(column));
    }
    const T top = static_cast<T>(rule.top);
    Grid best{(high - low) / top, -low};
    if (!rule.search) return best;
    Reals least = error_of(rule, group, best);
    for (int share = 0; share < kShares; ++share) {
      const Reals lowest = low * static_cast<T>(1 - static_cast<double>(share) / (kShares - 1));
      const Reals inverse_span = inverse(high - lowest);
      for (int step = 0; step < kRangeSteps; ++step) {
        const Reals per_step = (top + static_cast<T>(-0.9 + 0.2 * step)) * inverse_span;
        Sums sums;
        for (int column = 0; column < group.columns; ++column) {
          const Reals w = group.weights(column);
          sums.add(group.importance[column], V::rint(clamp((w - lowest) * per_step, 0, top)), w);
        }
        keep_better(rule, group, sums.affine(), best, least);
      }
    }
    return best;
  }

  // A group by itself without one: its greatest weight is on the side that has one code more, or
  // not quite.
  static Grid fit_signed(const SuperBlockRule& rule, const Group& group) {
    Reals extreme{};
    for (int column = 0; column < group.columns; ++column) {
      const Reals w = group.weights(column);
      extreme = V::select(V::magnitude(w) > V::magnitude(extreme), w, extreme);
    }
    Grid best{extreme / static_cast<T>(rule.least), Reals{}};
    if (!rule.search) return best;
    const Reals inverse_extreme = inverse(extreme);
    Reals least = error_of(rule, group, best);
    try_scales(rule, group, rule.least, inverse_extreme, best, least);
    // uneven levels are finer on their other side, not only fewer
    if (rule.levels != nullptr && rule.top != -rule.least)
      try_scales(rule, group, rule.top, inverse_extreme, best, least);
    return best;
  }

  // Scales that give the greatest weight about this code.
  static void try_scales(const SuperBlockRule& rule, const Group& group, int code,
                         Reals inverse_extreme, Grid& best, Reals& least) {
    for (int step = 0; step < kSignedSteps; ++step) {
      const Reals per_step =
          (static_cast<T>(code) - static_cast<T>(rule.apart * (step - kSignedSteps / 2))) *
          inverse_extreme;
      Sums sums;
      for (int column = 0; column < group.columns; ++column) {
        const Reals w = group.weights(column);
        sums.add(group.importance[column], nearest(rule, w * per_step), w);
      }
      keep_better(rule, group, {ratio(sums.wq, sums.qq), Reals{}}, best, least);
    }
  }

  // One number whose multiples by codes low .. high come near all of `numbers`, each weighted: the
  // codes are left in `codes`. A few numbers may be beyond the greatest code where others count
  // more.
  static Reals common_step(const SuperBlockRule& rule, const Around& around, int count,
                           const Reals* numbers, const Reals* weights, int low, int high,
                           Reals* codes) {
    Reals extreme{};
    for (int i = 0; i < count; ++i)
      extreme = V::select(V::magnitude(numbers[i]) > V::magnitude(extreme), numbers[i], extreme);
    const T most = static_cast<T>(low < 0 ? low : high);
    const auto code = [&](Reals number, Reals per_step) {
      return V::rint(clamp(number * per_step, static_cast<T>(low), static_cast<T>(high)));
    };
    const Reals inverse_extreme = inverse(extreme);
    Reals best = extreme / most, greatest{};
    for (T reach = 1; reach <= kFarthest; reach *= 2)
      for (int i = -around.steps; i <= around.steps; ++i) {
        const Reals per_step = reach * (most + static_cast<T>(around.apart * i)) * inverse_extreme;
        Reals products{}, squares{};
        for (int k = 0; k < count; ++k) {
          const Reals q = code(numbers[k], per_step);
          products += weights[k] * (q * numbers[k]);
          squares += weights[k] * (q * q);
        }
        const Reals explained = ratio(products * products, squares);
        const Integers better = explained > greatest;
        greatest = V::select(better, explained, greatest);
        best = V::select(better, ratio(products, squares), best);
      }
    best = step_number(rule, best);
    const Reals per_step = inverse(best);
    for (int k = 0; k < count; ++k) codes[k] = code(numbers[k], per_step);
    return best;
  }

  static void measure(const Block& block, Numbers& numbers) {
    for (int group = 0; group < block.rule.groups; ++group)
      numbers.errors[group] = error_of(block.rule, block.group(group), numbers.grid(group));
  }

  // Codes of scales and offsets, one up or down.
  static void move_codes(const Block& block, Numbers& numbers) {
    const SuperBlockRule& rule = block.rule;
    const int offsets = rule.top_offset > 0 ? 1 : 0;
    for (int k = 0; k < rule.groups; ++k) {
      const Group group = block.group(k);
      const Reals scale_code = numbers.scale_codes[k], offset_code = numbers.offset_codes[k];
      for (int up = -1; up <= 1; ++up)
        for (int aside = -offsets; aside <= offsets; ++aside) {
          if (up == 0 && aside == 0) continue;
          const Reals s = clamp(scale_code + static_cast<T>(up), static_cast<T>(rule.least_scale),
                                static_cast<T>(rule.top_scale));
          const Reals m =
              clamp(offset_code + static_cast<T>(aside), 0, static_cast<T>(rule.top_offset));
          const Reals error = error_of(rule, group, {numbers.scale * s, numbers.offset * m});
          const Integers better = error < numbers.errors[k];
          numbers.errors[k] = V::select(better, error, numbers.errors[k]);
          numbers.scale_codes[k] = V::select(better, s, numbers.scale_codes[k]);
          numbers.offset_codes[k] = V::select(better, m, numbers.offset_codes[k]);
        }
    }
  }

  // The block's two numbers by least squares over all its weights as they are coded: w is to be
  // scale * x - offset * y with x = scale_code * code, y = offset_code.
  static Grid refitted(const Block& block, const Numbers& numbers) {
    Reals xx{}, xy{}, yy{}, wx{}, wy{};
    for (int k = 0; k < block.rule.groups; ++k) {
      const Group group = block.group(k);
      const Sums sums = sums_of(block.rule, group, numbers.grid(k));
      const Reals s = numbers.scale_codes[k], m = numbers.offset_codes[k];
      xx += s * s * sums.qq;
      xy += s * m * sums.q;
      yy += m * m * sums.one;
      wx += s * sums.wq;
      wy += m * sums.w;
    }
    const Reals determinant = xx * yy - xy * xy;
    const Integers both = determinant > 0;
    return {V::select(both, ratio(wx * yy - xy * wy, determinant), ratio(wx, xx)),
            V::select(both, ratio(xy * wx - xx * wy, determinant), numbers.offset)};
  }

  // Takes the refitted numbers where they gain.
  static void move_block(const Block& block, Numbers& numbers) {
    Numbers other = numbers;
    const Grid grid = refitted(block, numbers);
    other.scale = step_number(block.rule, grid.scale);
    if (block.rule.top_offset > 0) other.offset = float16(V::larger(grid.offset, Reals{}));
    take_better(block, other, numbers);
  }

  // A block's scales on both sides of the one found, where there are few of them.
  static void move_step(const Block& block, Numbers& numbers) {
    if (block.rule.step == StepKind::kFloat16) return;
    const double apart = block.rule.step == StepKind::kPowerOfTwo ? 2 : 1.125;
    for (const double factor : {1 / apart, apart}) {
      Numbers other = numbers;
      other.scale = step_number(block.rule, numbers.scale * static_cast<T>(factor));
      take_better(block, other, numbers);
    }
  }

  // Takes the other numbers where their error is less.
  static void take_better(const Block& block, Numbers& other, Numbers& numbers) {
    measure(block, other);
    const int groups = block.rule.groups;
    const Integers better = other.error(groups) < numbers.error(groups);
    numbers.scale = V::select(better, other.scale, numbers.scale);
    numbers.offset = V::select(better, other.offset, numbers.offset);
    for (int k = 0; k < groups; ++k)
      numbers.errors[k] = V::select(better, other.errors[k], numbers.errors[k]);
  }

  static Numbers start(const Block& block) {
    const SuperBlockRule& rule = block.rule;
    Reals scales[kMostGroups], offsets[kMostGroups];
    Reals of_scale[kMostGroups], of_offset[kMostGroups];  // what an error in them costs
    for (int k = 0; k < rule.groups; ++k) {
      const Group group = block.group(k);
      const Grid grid = rule.top_offset > 0 ? fit_affine(rule, group) : fit_signed(rule, group);
      const Sums sums = sums_of(rule, group, grid);
      scales[k] = grid.scale;
      offsets[k] = grid.offset;
      of_scale[k] = sums.qq;
      of_offset[k] = sums.one;
    }
    Numbers numbers{};
    const Around around = rule.levels == nullptr ? kAround : kAroundUneven;
    numbers.scale = common_step(rule, around, rule.groups, scales, of_scale, rule.least_scale,
                                rule.top_scale, numbers.scale_codes);
    if (rule.top_offset > 0)
      numbers.offset = common_step(rule, around, rule.groups, offsets, of_offset, 0,
                                   rule.top_offset, numbers.offset_codes);
    return numbers;
  }

  static void fit(const SuperBlockRule& rule, const T* tile, const T* importance,
                  SuperBlockNumbers<T> to) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Block block{rule, tile + lane, importance};
      Numbers numbers = start(block);
      if (rule.search) {
        measure(block, numbers);
        for (int i = 0; i < kDescents; ++i) {
          move_codes(block, numbers);
          move_block(block, numbers);
          move_step(block, numbers);
        }
        move_codes(block, numbers);
      }
      V::store(to.scale + lane, numbers.scale);
      for (int k = 0; k < rule.groups; ++k)
        V::store(to.scale_codes + k * kLanes + lane, numbers.scale_codes[k]);
      if (rule.top_offset == 0) continue;
      V::store(to.offset + lane, numbers.offset);
      for (int k = 0; k < rule.groups; ++k)
        V::store(to.offset_codes + k * kLanes + lane, numbers.offset_codes[k]);
    }
  }

  static void round(const SuperBlockRule& rule, const T* weights, const T* scales, const T* offsets,
                    uint8_t* codes, T* values) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Grid grid{V::load(scales + lane), V::load(offsets + lane)};
      const Reals code = code_of(rule, V::load(weights + lane), grid, inverse(grid.scale));
      V::store(values + lane, code * grid.scale - grid.offset);
      V::store_bytes(codes + lane, stored(rule, code));
    }
  }

  static constexpr SuperBlockKernels<T> kernels() { return {fit, round}; }
};

}  // namespace halftone::cpu
