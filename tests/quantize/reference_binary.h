// The binary grid and its sweep written down plainly from methods.md 4.4 and 7.3, in double
// precision, one weight at a time. Slow and obvious; nothing of src/quantize is used but the
// recipe.
#pragma once

#include <c10/util/Half.h>

#include <array>
#include <functional>

#include "reference_sweep.h"

namespace halftone::testing {

enum Region { kBulk = 1, kTail = 2, kSalient = 3, kDead = 4 };

// One binarization of the numbers of a row that belong to a region; `order` of them.
struct Binarized {
  std::vector<double> means, scales;  // (order)
  std::vector<double> values;         // what the signs stand for; sign(0) = 0
};

// R_K of methods.md 4.4, weighted.   x, members, importance: (columns)
inline Binarized binarize(const std::vector<double>& x, const std::vector<bool>& members,
                          const std::vector<double>& importance, int order) {
  Binarized result;
  result.values.assign(x.size(), 0);
  for (int k = 0; k < order; ++k) {
    double total = 0, sum = 0, deviation = 0;
    for (size_t j = 0; j < x.size(); ++j) {
      if (!members[j]) continue;
      total += importance[j];
      sum += importance[j] * (x[j] - result.values[j]);
    }
    const double mean = total > 0 ? sum / total : 0;
    for (size_t j = 0; j < x.size(); ++j)
      if (members[j]) deviation += importance[j] * std::abs(x[j] - result.values[j] - mean);
    const double scale = total > 0 ? deviation / total : 0;
    for (size_t j = 0; j < x.size(); ++j) {
      const double off = x[j] - result.values[j] - mean;
      if (members[j]) result.values[j] += mean + scale * ((off > 0) - (off < 0));
    }
    result.means.push_back(mean);
    result.scales.push_back(scale);
  }
  return result;
}

inline std::vector<double> row_of(const Matrix& matrix, int64_t row) {
  const auto begin = matrix.values.begin() + row * matrix.columns;
  return {begin, begin + matrix.columns};
}

using RegionOf = std::function<Region(int64_t row, int64_t column)>;

// Error of binarizing each row's regions apart; `orders` of bulk, tail, salient.
inline double binarization_error(const Matrix& x, const RegionOf& region,
                                 const std::vector<double>& importance,
                                 const std::array<int, 3>& orders) {
  double error = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    const std::vector<double> row = row_of(x, i);
    for (const Region part : {kBulk, kTail, kSalient}) {
      std::vector<bool> members;
      for (int64_t j = 0; j < x.columns; ++j) members.push_back(region(i, j) == part);
      const Binarized found = binarize(row, members, importance, orders[part - 1]);
      for (int64_t j = 0; j < x.columns; ++j)
        if (members[j]) error += importance[j] * std::pow(row[j] - found.values[j], 2);
    }
  }
  return error;
}

// Linear interpolation between order statistics, as numpy does it.
inline double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const double next = values[std::min(below + 1, values.size() - 1)];
  return values[below] + (place - static_cast<double>(below)) * (next - values[below]);
}

// Salient columns and break point of one block, and what they were searched on.
struct Structure {
  std::vector<bool> salient;  // (columns)
  double point = 0;
  bool on_metric = false;
};

struct BlockProblem {
  Matrix weights;               // (out, columns) at block start
  std::vector<double> pivots;   // (columns) c_j
  std::vector<bool> dead = {};  // (columns)

  Matrix metric() const {
    Matrix result = weights;
    for (int64_t i = 0; i < result.rows; ++i)
      for (int64_t j = 0; j < result.columns; ++j)
        result(i, j) = weights(i, j) * weights(i, j) / (pivots[j] * pivots[j]);
    return result;
  }
  std::vector<double> importance() const {
    std::vector<double> result;
    for (const double pivot : pivots) result.push_back(1 / (pivot * pivot));
    return result;
  }
  // ours keeps dead columns out of everything
  RegionOf regions(const Structure& structure) const {
    return [=, this, m = metric()](int64_t i, int64_t j) {
      if (structure.salient[j]) return kSalient;
      const double key = structure.on_metric ? m(i, j) : std::abs(weights(i, j));
      return key < structure.point ? kBulk : kTail;
    };
  }
  RegionOf live_regions(const Structure& structure) const {
    return [=, this, all = regions(structure)](int64_t i, int64_t j) {
      return dead[j] ? kDead : all(i, j);
    };
  }
};

// Steps 2 and 3 of methods.md 4.4 on the numbers x, over the columns of `pool`.
inline Structure search_structure(const BlockProblem& block, const Matrix& x,
                                  const std::vector<int64_t>& pool,
                                  const std::vector<double>& importance, bool on_metric) {
  const Matrix metric = block.metric();
  std::vector<double> score(static_cast<size_t>(x.columns));
  for (int64_t i = 0; i < x.rows; ++i)
    for (int64_t j = 0; j < x.columns; ++j) score[j] += metric(i, j);
  std::vector<int64_t> ranked = pool;
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](int64_t a, int64_t b) { return score[a] > score[b]; });
  Structure best;
  best.on_metric = on_metric;
  best.salient.assign(static_cast<size_t>(x.columns), false);
  std::vector<bool> salient = best.salient, in_pool = best.salient;
  for (const int64_t j : pool) in_pool[j] = true;
  double least = INFINITY;
  for (size_t count = 1; count <= 49 && count < pool.size(); ++count) {
    salient[ranked[count - 1]] = true;
    const auto region = [&](int64_t, int64_t j) {
      return !in_pool[j] ? kDead : salient[j] ? kSalient : kBulk;
    };
    const double cost = binarization_error(x, region, importance, {2, 1, 2});
    if (cost < least) {
      least = cost;
      best.salient = salient;
    }
  }
  // the public code's quantiles run over zeros in place of the salient columns
  std::vector<double> magnitudes;
  for (int64_t i = 0; i < x.rows; ++i)
    for (const int64_t j : pool)
      if (on_metric || !best.salient[j])
        magnitudes.push_back(best.salient[j] ? 0 : std::abs(x(i, j)));
  least = INFINITY;
  for (int i = 0; i <= 80; ++i) {
    const double point = quantile(magnitudes, (10 + i) / 100.0);
    const auto region = [&](int64_t row, int64_t j) {
      if (!in_pool[j]) return kDead;
      if (best.salient[j]) return kSalient;
      return std::abs(x(row, j)) < point ? kBulk : kTail;
    };
    const double cost = binarization_error(x, region, importance, {1, 1, 2});
    if (cost < least) {
      least = cost;
      best.point = point;
    }
  }
  return best;
}

inline Structure search_on_metric(const BlockProblem& block) {
  std::vector<int64_t> all(static_cast<size_t>(block.weights.columns));
  std::iota(all.begin(), all.end(), 0);
  return search_structure(block, block.metric(), all,
                          std::vector<double>(static_cast<size_t>(block.weights.columns), 1), true);
}

// The loss of ours: sum of (w - q)^2 / c_j^2 over live columns.
inline double structure_loss(const BlockProblem& block, const Structure& structure) {
  return binarization_error(block.weights, block.live_regions(structure), block.importance(),
                            {1, 1, 2});
}

inline Structure search_on_weights(const BlockProblem& block) {
  std::vector<int64_t> live;
  for (int64_t j = 0; j < block.weights.columns; ++j)
    if (!block.dead[j]) live.push_back(j);
  if (live.empty()) return {block.dead, 0, false};
  const Structure ours = search_structure(block, block.weights, live, block.importance(), false);
  const Structure published = search_on_metric(block);
  return structure_loss(block, published) < structure_loss(block, ours) ? published : ours;
}

struct ReferenceBinary {
  std::vector<int> codes, regions;  // (out, in)
  Matrix weights;                   // (out, in)
};

// A number as it is stored.
inline float stored(double x, bool half) {
  const auto single = static_cast<float>(x), rounded = static_cast<float>(c10::Half(single));
  return half && std::isfinite(rounded) ? rounded : single;
}

// hessian: damped; dead: columns whose weights are 0 (already zeroed).
inline ReferenceBinary reference_binary(Matrix weight, const Matrix& hessian,
                                        const std::vector<bool>& dead, const GridOptions& grid) {
  const int64_t out = weight.rows, in = weight.columns;
  const bool parity = grid.mode == BinaryMode::kParity, half = grid.scale_bits != 0;
  const Matrix u = reference_upper(hessian);
  ReferenceBinary result{std::vector<int>(static_cast<size_t>(out * in)),
                         std::vector<int>(static_cast<size_t>(out * in)), Matrix(out, in)};
  for (int64_t begin = 0; begin < in; begin += grid.group_size) {
    const int64_t columns = std::min(grid.group_size, in - begin);
    BlockProblem block{Matrix(out, columns), {}, {}};
    for (int64_t j = 0; j < columns; ++j) {
      block.pivots.push_back(u(begin + j, begin + j));
      block.dead.push_back(dead[begin + j]);
      for (int64_t i = 0; i < out; ++i) block.weights(i, j) = weight(i, begin + j);
    }
    const Structure structure = parity ? search_on_metric(block) : search_on_weights(block);
    const RegionOf region = parity ? block.regions(structure) : block.live_regions(structure);
    const std::vector<double> importance =
        parity ? std::vector<double>(static_cast<size_t>(columns), 1) : block.importance();
    for (int64_t i = 0; i < out; ++i) {
      const std::vector<double> start = row_of(block.weights, i);
      std::array<Binarized, 4> fitted;
      std::array<std::vector<float>, 4> levels;
      for (const Region part : {kBulk, kTail, kSalient}) {
        std::vector<bool> members;
        for (int64_t j = 0; j < columns; ++j) members.push_back(region(i, j) == part);
        Binarized& found = fitted[part] = binarize(start, members, importance, part == 3 ? 2 : 1);
        // what is left of equal weights is rounding
        const double rounding = 0x1p-20 * std::abs(found.means[0]);
        for (double& mean : found.means) mean = std::abs(mean) <= rounding ? 0 : stored(mean, half);
        for (double& scale : found.scales) scale = scale <= rounding ? 0 : stored(scale, half);
        const auto side = [&](int order, int sign) {
          const auto mean = static_cast<float>(found.means[order]);
          const auto scale = static_cast<float>(found.scales[order]);
          return sign ? mean + scale : mean - scale;
        };
        for (int code = 0; code < (part == kSalient ? 4 : 2); ++code)
          levels[part].push_back(part == kSalient ? side(0, code / 2) + side(1, code % 2)
                                                  : side(0, code));
      }
      // nearest level, the greater code on a tie; joint, parity: sign by sign, a zero's being +
      const auto code_of = [&](Region part, double w) {
        if (grid.mode != BinaryMode::kColumns && part == kSalient) {
          const double off = w - fitted[part].means[0];
          const double rest = off - (off < 0 ? -1 : 1) * fitted[part].scales[0];
          return 2 * (off >= 0) + (rest - fitted[part].means[1] >= 0);
        }
        int best = 0;
        for (int code = 1; code < static_cast<int>(levels[part].size()); ++code)
          if (std::abs(w - levels[part][code]) <= std::abs(w - levels[part][best])) best = code;
        return best;
      };
      // columns: each sees the errors of those before it. joint, parity: codes from block start
      std::vector<double> w = start, raw(static_cast<size_t>(columns));
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t to = i * in + begin + j;
        const Region part = region(i, j);
        result.regions[to] = part;
        const bool none = part == kDead || dead[begin + j];
        const int code = none ? 0 : code_of(part, w[j]);
        const double value = none ? 0 : levels[part][code];
        result.codes[to] = part == kTail && !none ? 2 + code : code;
        result.weights(i, begin + j) = value;
        raw[j] = w[j] - value;
        if (grid.mode == BinaryMode::kColumns)
          for (int64_t k = begin + j + 1; k < in; ++k)
            (k < begin + columns ? w[k - begin] : weight(i, k)) -=
                raw[j] / block.pivots[j] * u(begin + j, k);
      }
      if (grid.mode == BinaryMode::kColumns) continue;
      // joint: E = E_raw inv(U_BB), exact. parity: E_j = E_raw_j / c_j
      std::vector<double> e(static_cast<size_t>(columns));
      for (int64_t j = 0; j < columns; ++j) {
        double sum = raw[j];
        for (int64_t k = 0; k < j && !parity; ++k) sum -= e[k] * u(begin + k, begin + j);
        e[j] = sum / block.pivots[j];
        for (int64_t k = begin + columns; k < in; ++k) weight(i, k) -= e[j] * u(begin + j, k);
      }
    }
  }
  return result;
}

}  // namespace halftone::testing
