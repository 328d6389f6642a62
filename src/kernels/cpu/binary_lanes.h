// The binary grid's structure search, lane by lane (kernels/binary_kernels.h). Included once per
// instruction set; see vector.h.
#pragma once

#include "kernels/binary_kernels.h"
#include "kernels/cpu/vector.h"
#include "kernels/lane_kernels.h"

namespace halftone::cpu {

template <class T, int kBytes>
struct BinaryLanes {
  using V = Vector<T, kBytes>;
  using Reals = typename V::Reals;

  struct Level {
    Reals mean, scale;
  };

  // x less what its sign stands for.
  static Reals rest_of(Reals x, Level level) {
    const Reals off = x - level.mean;
    const Reals below = V::select(off < 0, -level.scale, Reals{});
    return off - V::select(off > 0, level.scale, below);
  }

  static Reals ratio(Reals sum, Reals total) {
    return V::select(total > 0, sum / V::select(total > 0, total, V::all(1)), Reals{});
  }

  // `value` and `weight` map a column to 16 rows' numbers. A refined mean is that of the numbers to
  // the last place, however many there are.
  template <bool kRefined = false, class Value, class Weight>
  static Level level_of(int64_t begin, int64_t end, Value value, Weight weight) {
    Reals total{}, sum{}, deviation{};
    for (int64_t column = begin; column < end; ++column) {
      total += weight(column);
      sum += weight(column) * value(column);
    }
    Reals mean = ratio(sum, total);
    if (kRefined) {
      Reals off{};
      for (int64_t column = begin; column < end; ++column)
        off += weight(column) * (value(column) - mean);
      mean += ratio(off, total);
    }
    for (int64_t column = begin; column < end; ++column)
      deviation += weight(column) * V::magnitude(value(column) - mean);
    return {mean, ratio(deviation, total)};
  }

  // Lanes in a fixed order, so that every instruction set of the same width adds alike.
  static double sum(Reals lanes) {
    double result = 0;
    for (int lane = 0; lane < V::width; ++lane) result += static_cast<double>(lanes[lane]);
    return result;
  }

  static void binarize(int64_t columns, const T* members, T* values, T* means, T* scales) {
    for (int lane = 0; lane < kLanes; lane += V::width) {
      const auto value = [&](int64_t column) { return V::load(values + column * kLanes + lane); };
      const auto weight = [&](int64_t column) { return V::load(members + column * kLanes + lane); };
      const Level level = level_of<true>(0, columns, value, weight);
      for (int64_t column = 0; column < columns; ++column) {
        const Reals rest =
            V::select(weight(column) > 0, rest_of(value(column), level), value(column));
        V::store(values + column * kLanes + lane, rest);
      }
      V::store(means + lane, level.mean);
      V::store(scales + lane, level.scale);
    }
  }

  // Error of columns [begin, end) at order 2.
  static Reals second_order_error(int64_t begin, int64_t end, const T* tile, const T* importance) {
    const auto weight = [&](int64_t column) { return V::all(importance[column]); };
    const auto value = [&](int64_t column) { return V::load(tile + column * kLanes); };
    const Level first = level_of(begin, end, value, weight);
    const auto remaining = [&](int64_t column) { return rest_of(value(column), first); };
    const Level second = level_of(begin, end, remaining, weight);
    Reals error{};
    for (int64_t column = begin; column < end; ++column) {
      const Reals rest = rest_of(remaining(column), second);
      error += weight(column) * rest * rest;
    }
    return error;
  }

  static void salient_costs(int64_t columns, int64_t counts, const T* tile, const T* importance,
                            double* costs) {
    for (int lane = 0; lane < kLanes; lane += V::width)
      for (int64_t count = 1; count <= counts; ++count)
        costs[count - 1] += sum(second_order_error(0, count, tile + lane, importance) +
                                second_order_error(count, columns, tile + lane, importance));
  }

  // Error of both sides of a break point, each at order 1, in three passes over the tile.
  static Reals split_error(int64_t columns, const T* tile, const T* importance, Reals point) {
    Reals total[2] = {}, sum[2] = {}, deviation[2] = {}, error{};
    const auto value = [&](int64_t column) { return V::load(tile + column * kLanes); };
    for (int64_t column = 0; column < columns; ++column) {
      const Reals x = value(column), weight = V::all(importance[column]);
      const Reals inner = V::select(V::magnitude(x) < point, weight, Reals{});
      total[0] += inner;
      total[1] += weight - inner;
      sum[0] += inner * x;
      sum[1] += (weight - inner) * x;
    }
    const Reals mean[2] = {ratio(sum[0], total[0]), ratio(sum[1], total[1])};
    for (int64_t column = 0; column < columns; ++column) {
      const Reals x = value(column), weight = V::all(importance[column]);
      const auto is_inner = V::magnitude(x) < point;
      const Reals off = weight * V::magnitude(x - V::select(is_inner, mean[0], mean[1]));
      const Reals inner = V::select(is_inner, off, Reals{});
      deviation[0] += inner;
      deviation[1] += off - inner;
    }
    const Level level[2] = {{mean[0], ratio(deviation[0], total[0])},
                            {mean[1], ratio(deviation[1], total[1])}};
    for (int64_t column = 0; column < columns; ++column) {
      const Reals x = value(column);
      const auto is_inner = V::magnitude(x) < point;
      const Reals rest = rest_of(x, {V::select(is_inner, level[0].mean, level[1].mean),
                                     V::select(is_inner, level[0].scale, level[1].scale)});
      error += importance[column] * rest * rest;
    }
    return error;
  }

  static void split_costs(int64_t columns, const T* tile, const T* importance, int64_t count,
                          const T* points, double* costs) {
    for (int lane = 0; lane < kLanes; lane += V::width)
      for (int64_t i = 0; i < count; ++i)
        costs[i] += sum(split_error(columns, tile + lane, importance, V::all(points[i])));
  }

  static constexpr BinaryKernels<T> kernels() { return {binarize, salient_costs, split_costs}; }
};

}  // namespace halftone::cpu
