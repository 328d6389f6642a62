// Points of a codebook, lane by lane (kernels/vector_grid_kernels.h; methods.md 4.7). Included once
// per instruction set; see vector.h.
//
// With a weight for every column the best point is found exactly: each point's cost is a sum of
// entries of a table of magnitudes by columns, made once for eight weights and added up by the
// halves that points have in common. Where an even number of signs must be negative and that of the
// weights is odd, the sign that costs least to turn is turned: what a turned sign costs is a second
// table.
#pragma once

#include "kernels/cpu/vector.h"
#include "kernels/lane_kernels.h"
#include "kernels/vector_grid_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct VectorGridLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;
  using Integers = typename V::Integers;

  static constexpr int kLevels = 8, kMostHalves = 81, kTrials = 6, kTopCode = 15, kMostGroups = 16,
                       kDescents = 2;
  static constexpr double kFar = 3e38;

  // The best point of some columns, and the best with one sign turned.
  struct Best {
    Reals cost, index;
    Reals turned_cost, turned_index;
  };

  // Costs of one weight at each magnitude, less w^2: v q (q - 2 |w|), and of a turned sign on top.
  struct Tables {
    Reals cost[kVectorColumns][kLevels], turned[kVectorColumns][kLevels];
    Integers odd;  // whether an odd number of the eight is negative
  };

  static Tables tables_of(const VectorRule& rule, const T* tile, const T* importance, Reals scale) {
    Tables tables;
    tables.odd = Integers{};
    for (int column = 0; column < kVectorColumns; ++column) {
      const Reals w = V::load(tile + column * kLanes), size = V::magnitude(w);
      tables.odd ^= w < 0;
      for (int level = 0; level < rule.magnitude_count; ++level) {
        const Reals q = scale * static_cast<T>(rule.magnitudes[level]);
        tables.cost[column][level] = importance[column] * (q * (q - (size + size)));
        if (rule.even) tables.turned[column][level] = (4 * importance[column]) * (q * size);
      }
    }
    return tables;
  }

  // Costs of the halves of points at one place, and what turning their cheapest sign costs.
  struct Halves {
    Reals cost[kMostHalves], turned[kMostHalves];
  };
  template <int kCount, bool kEven>
  static void add_up(const VectorRule& rule, const Tables& tables, int first, Halves& halves) {
    const uint8_t* levels = rule.halves;
    for (int half = 0; half < rule.half_count; ++half, levels += kCount) {
      Reals cost = tables.cost[first][levels[0]];
      for (int i = 1; i < kCount; ++i) cost += tables.cost[first + i][levels[i]];
      halves.cost[half] = cost;
      if constexpr (!kEven) continue;
      Reals turned = tables.turned[first][levels[0]];
      for (int i = 1; i < kCount; ++i)
        turned = V::smaller(turned, tables.turned[first + i][levels[i]]);
      halves.turned[half] = turned;
    }
  }

  // kDims: of the rule's points; from the column `first` of the tables. kEven: turned signs as
  // well.
  template <int kDims, bool kEven>
  static Best best_point(const VectorRule& rule, const Tables& tables, int first) {
    Halves front, back;
    add_up<kDims / 2, kEven>(rule, tables, first, front);
    add_up<kDims / 2, kEven>(rule, tables, first + kDims / 2, back);
    const Reals far = V::all(static_cast<T>(kFar));
    Best best{far, {}, far, {}};
    Reals index{};
    const uint8_t* ids = rule.half_ids;
    for (int point = 0; point < rule.points; ++point, ids += 2, index += 1) {
      Reals cost = front.cost[ids[0]] + back.cost[ids[1]];
      const Integers better = cost < best.cost;
      best.cost = V::select(better, cost, best.cost);
      best.index = V::select(better, index, best.index);
      if constexpr (kEven) {
        cost += V::smaller(front.turned[ids[0]], back.turned[ids[1]]);
        const Integers cheaper = cost < best.turned_cost;
        best.turned_cost = V::select(cheaper, cost, best.turned_cost);
        best.turned_index = V::select(cheaper, index, best.turned_index);
      }
    }
    return best;
  }

  // What eight columns are rounded to: a point or two, and whether each has a sign turned.
  struct Choice {
    Reals cost, index[2];
    Integers turned[2];
  };

  template <int kDims, bool kEven>
  static Choice choice_of(const VectorRule& rule, const Tables& tables) {
    const Best first = best_point<kDims, kEven>(rule, tables, 0);
    Choice chosen{};
    if constexpr (kDims == kVectorColumns) {
      const Integers turned = kEven ? tables.odd : Integers{};
      chosen.cost = V::select(turned, first.turned_cost, first.cost);
      chosen.index[0] = V::select(turned, first.turned_index, first.index);
      chosen.turned[0] = turned;
      return chosen;
    }
    const Best second = best_point<kDims, kEven>(rule, tables, kVectorColumns - kDims);
    const Reals none = first.cost + second.cost;
    chosen.cost = none;
    chosen.index[0] = first.index;
    chosen.index[1] = second.index;
    if constexpr (!kEven) return chosen;
    // an even number of halves turned, or an odd one
    const Reals both = first.turned_cost + second.turned_cost;
    const Reals one = first.turned_cost + second.cost, other = first.cost + second.turned_cost;
    const Integers turn_both = both < none, turn_first = one <= other;
    chosen.cost = V::select(tables.odd, V::smaller(one, other), V::smaller(none, both));
    chosen.turned[0] = tables.odd ? turn_first : turn_both;
    chosen.turned[1] = tables.odd ? ~turn_first : turn_both;
    chosen.index[0] = V::select(chosen.turned[0], first.turned_index, first.index);
    chosen.index[1] = V::select(chosen.turned[1], second.turned_index, second.index);
    return chosen;
  }

  // even: whether the signs must be
  static Choice choice(const VectorRule& rule, bool even, const Tables& tables) {
    if (rule.dims == kVectorColumns)
      return even ? choice_of<8, true>(rule, tables) : choice_of<8, false>(rule, tables);
    return even ? choice_of<4, true>(rule, tables) : choice_of<4, false>(rule, tables);
  }
  static Choice choice(const VectorRule& rule, const Tables& tables) {
    return choice(rule, rule.even, tables);
  }

  // Codes of one lane.   codes: of its first column, kLanes apart
  static void write_codes(const VectorRule& rule, const Tables& tables, const Choice& chosen,
                          const T* tile, int lane, uint8_t* codes) {
    for (int half = 0; half * rule.dims < kVectorColumns; ++half) {
      const uint8_t* levels = rule.levels + static_cast<int>(chosen.index[half][lane]) * rule.dims;
      int turn = -1;
      for (int i = 0; i < rule.dims; ++i) {
        const int column = half * rule.dims + i;
        const bool negative = tile[column * kLanes + lane] < 0;
        codes[column * kLanes] = static_cast<uint8_t>(levels[i] + (negative ? kNegative : 0));
        if (chosen.turned[half][lane] == 0) continue;
        if (turn < 0 || tables.turned[column][levels[i]][lane] <
                            tables.turned[turn][levels[turn - half * rule.dims]][lane])
          turn = column;
      }
      if (turn >= 0) codes[turn * kLanes] ^= kNegative;
    }
  }

  static void choose(const VectorRule& rule, const T* tile, const T* importance, const T* scales,
                     uint8_t* codes) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Tables tables = tables_of(rule, tile + lane, importance, V::load(scales + lane));
      const Choice chosen = choice(rule, tables);
      for (int i = 0; i < V::width; ++i)
        write_codes(rule, tables, chosen, tile + lane, i, codes + lane + i);
    }
  }

  struct Group {
    const T* tile;        // (columns, 16) from the lanes' first
    const T* importance;  // (columns)
    Reals energy;         // sum of importance * w^2
  };

  // The weighted error of a group at a scale.   even: whether the signs must be
  static Reals error_of(const VectorRule& rule, bool even, const Group& group, Reals scale) {
    Reals sum = group.energy;
    for (int first = 0; first < rule.columns; first += kVectorColumns)
      sum += choice(rule, even,
                    tables_of(rule, group.tile + first * kLanes, group.importance + first, scale))
                 .cost;
    return V::larger(sum, Reals{});
  }
  static Reals error_of(const VectorRule& rule, const Group& group, Reals scale) {
    return error_of(rule, rule.even, group, scale);
  }

  // Sums of importance * w * q and q^2, q being what the codes at a scale mean at scale 1.
  struct Products {
    Reals wq, qq;
  };
  static Products products_of(const VectorRule& rule, const Group& group, Reals scale) {
    Products sums{};
    for (int first = 0; first < rule.columns; first += kVectorColumns) {
      const T* tile = group.tile + first * kLanes;
      const Tables tables = tables_of(rule, tile, group.importance + first, scale);
      const Choice chosen = choice(rule, tables);
      for (int lane = 0; lane < V::width; ++lane) {
        uint8_t codes[kVectorColumns * kLanes];
        write_codes(rule, tables, chosen, tile, lane, codes);
        for (int column = 0; column < kVectorColumns; ++column) {
          const uint8_t code = codes[column * kLanes];
          const T size = static_cast<T>(rule.magnitudes[code % kNegative]);
          const T q = code >= kNegative ? -size : size;
          sums.wq[lane] += group.importance[first + column] * (tile[column * kLanes + lane] * q);
          sums.qq[lane] += group.importance[first + column] * (q * q);
        }
      }
    }
    return sums;
  }

  static Reals ratio(Reals a, Reals b) {
    return V::select(b > 0, a / V::select(b > 0, b, V::all(1)), Reals{});
  }

  // The scale with the least error, of shares of what would take the greatest magnitude to the
  // group's root mean square.
  static Reals scale_of(const VectorRule& rule, bool thorough, const Group& group) {
    T total = 0;
    for (int column = 0; column < rule.columns; ++column) total += group.importance[column];
    const Reals mean_square = ratio(group.energy, V::all(total));
    Reals root = mean_square;
    for (int i = 0; i < V::width; ++i) root[i] = static_cast<T>(::sqrt(mean_square[i]));
    const T greatest = static_cast<T>(rule.magnitudes[rule.magnitude_count - 1]);
    const T first = rule.magnitude_count > 3 ? 1.5 : 1.1, step = static_cast<T>(0.32);
    Reals best{}, least = V::all(static_cast<T>(kFar));
    for (int trial = thorough ? 0 : 1; trial < kTrials; trial += thorough ? 1 : 2) {
      const Reals scale = root * ((first + static_cast<T>(trial) * step) / greatest);
      const Reals error = error_of(rule, /*even=*/false, group, scale);  // half of the time
      const Integers better = error < least;
      least = V::select(better, error, least);
      best = V::select(better, scale, best);
    }
    const Products sums = products_of(rule, group, best);
    return V::larger(ratio(sums.wq, sums.qq), Reals{});
  }

  static Reals clamp_code(Reals code) {
    return V::rint(V::smaller(V::larger(code, Reals{}), V::all(kTopCode)));
  }

  struct Block {
    Reals step;
    Reals codes[kMostGroups], errors[kMostGroups];
  };

  static Reals scale_at(const VectorRule& rule, Reals step, Reals code) {
    return step * static_cast<T>(rule.unit) * (code + code + 1);
  }

  // Codes of scales one up or down.
  static void move_codes(const VectorRule& rule, const Group* groups, Block& block) {
    for (int k = 0; k < rule.groups; ++k)
      for (int up = -1; up <= 1; up += 2) {
        const Reals code = clamp_code(block.codes[k] + static_cast<T>(up));
        const Reals error = error_of(rule, groups[k], scale_at(rule, block.step, code));
        const Integers better = error < block.errors[k];
        block.errors[k] = V::select(better, error, block.errors[k]);
        block.codes[k] = V::select(better, code, block.codes[k]);
      }
  }

  // The step by least squares, where that gains.
  static void move_step(const VectorRule& rule, const Group* groups, Block& block) {
    Reals wq{}, qq{}, before{}, after{};
    for (int k = 0; k < rule.groups; ++k) {
      const Reals scale = scale_at(rule, block.step, block.codes[k]);
      const Products sums = products_of(rule, groups[k], scale);
      const Reals factor = scale_at(rule, V::all(1), block.codes[k]);
      wq += factor * sums.wq;
      qq += factor * factor * sums.qq;
      before += block.errors[k];
    }
    Block other = block;
    other.step = SuperBlockLanes<T, kBytes>::float16(V::larger(ratio(wq, qq), Reals{}));
    for (int k = 0; k < rule.groups; ++k) {
      other.errors[k] = error_of(rule, groups[k], scale_at(rule, other.step, other.codes[k]));
      after += other.errors[k];
    }
    const Integers better = after < before;
    block.step = V::select(better, other.step, block.step);
    for (int k = 0; k < rule.groups; ++k)
      block.errors[k] = V::select(better, other.errors[k], block.errors[k]);
  }

  static Block fit_lanes(const VectorRule& rule, bool thorough, const T* tile,
                         const T* importance) {
    Group groups[kMostGroups];
    Reals scales[kMostGroups], greatest{};
    for (int k = 0; k < rule.groups; ++k) {
      const int first = k * rule.columns;
      groups[k].tile = tile + first * kLanes;
      groups[k].importance = importance + first;
      groups[k].energy = Reals{};
      for (int column = 0; column < rule.columns; ++column) {
        const Reals w = V::load(groups[k].tile + column * kLanes);
        groups[k].energy += groups[k].importance[column] * (w * w);
      }
      scales[k] = scale_of(rule, thorough, groups[k]);
      greatest = V::larger(greatest, scales[k]);
    }
    Block block;
    const T units = static_cast<T>(rule.unit);
    block.step = SuperBlockLanes<T, kBytes>::float16(greatest / (units * (2 * kTopCode + 1)));
    for (int k = 0; k < rule.groups; ++k) {
      block.codes[k] = clamp_code((ratio(scales[k], block.step * units) - 1) * static_cast<T>(0.5));
      block.errors[k] = error_of(rule, groups[k], scale_at(rule, block.step, block.codes[k]));
    }
    for (int i = 0; thorough && i < kDescents; ++i) {
      move_step(rule, groups, block);
      move_codes(rule, groups, block);
    }
    return block;
  }

  static void fit(const VectorRule& rule, bool thorough, const T* tile, const T* importance,
                  T* scale_codes, T* steps) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const Block block = fit_lanes(rule, thorough, tile + lane, importance);
      V::store(steps + lane, block.step);
      for (int k = 0; k < rule.groups; ++k)
        V::store(scale_codes + k * kLanes + lane, block.codes[k]);
    }
  }

  static constexpr VectorGridKernels<T> kernels() { return {fit, choose}; }
};

}  // namespace halftone::cpu
