#include "quantize/grid/binary_structure.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/parallel.h"

namespace halftone {
namespace {

constexpr int64_t kMostSalient = 49;
constexpr int64_t kBreakPoints = 81;  // quantiles 0.10, 0.11 .. 0.90

// What is searched on: the columns that take part, and the numbers that are binarized.
template <class T>
struct Search {
  const BinaryBlock<T>& block;
  const BinaryKernels<T>& kernels;
  std::vector<int64_t> columns;
  std::vector<T> weights_in_means;  // (block columns)
  bool on_metric;

  T number(int64_t column, int64_t row) const {
    const T weight = block.weights[column * block.rows + row];
    return on_metric ? weight * weight * block.importance[column] : weight;
  }
};

// Columns by the sum of their metric, greatest first; equal ones by index.
template <class T>
std::vector<int64_t> ranked_columns(const Search<T>& search) {
  const BinaryBlock<T>& block = search.block;
  std::vector<double> score(static_cast<size_t>(block.columns));
  parallel_for(block.threads, block.columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column) {
      const T* weights = block.weights + column * block.rows;
      double sum = 0;
      for (int64_t row = 0; row < block.out; ++row)
        sum += static_cast<double>(weights[row]) * static_cast<double>(weights[row]);
      score[column] = sum * static_cast<double>(block.importance[column]);
    }
  });
  std::vector<int64_t> ranked = search.columns;
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](int64_t a, int64_t b) { return score[a] > score[b]; });
  return ranked;
}

// The candidate of least cost, the first of equals.
// cost_of(tile, importance, costs): adds the candidates' costs of a tile of `columns`
template <class T, class CostOf>
int64_t cheapest(const Search<T>& search, const std::vector<int64_t>& columns, int64_t candidates,
                 CostOf&& cost_of) {
  const BinaryBlock<T>& block = search.block;
  const auto width = static_cast<int64_t>(columns.size()), tiles = block.rows / kLanes;
  std::vector<T> importance(columns.size());
  for (int64_t k = 0; k < width; ++k) importance[k] = search.weights_in_means[columns[k]];
  // a sum per tile, so that the order of addition does not depend on threads
  std::vector<double> costs(static_cast<size_t>(tiles * candidates));
  parallel_for(block.threads, tiles, 1, [&](int64_t begin, int64_t end) {
    std::vector<T> tile(static_cast<size_t>(width * kLanes));
    for (int64_t index = begin; index < end; ++index) {
      for (int64_t k = 0; k < width; ++k)
        for (int64_t lane = 0; lane < kLanes; ++lane)
          tile[k * kLanes + lane] = search.number(columns[k], index * kLanes + lane);
      cost_of(tile.data(), importance.data(), costs.data() + index * candidates);
    }
  });
  for (int64_t index = 1; index < tiles; ++index)
    for (int64_t i = 0; i < candidates; ++i) costs[i] += costs[index * candidates + i];
  return std::min_element(costs.begin(), costs.begin() + candidates) - costs.begin();
}

// Puts the order statistics at `places` (ascending) where a full sort would.
template <class T>
void select_all(std::span<T> values, std::span<const int64_t> places, int64_t offset = 0) {
  if (places.empty()) return;
  const size_t middle = places.size() / 2;
  const int64_t place = places[middle] - offset;
  std::nth_element(values.begin(), values.begin() + place, values.end());
  select_all(values.first(place), places.first(middle), offset);
  select_all(values.subspan(place + 1), places.subspan(middle + 1), places[middle] + 1);
}

// Quantiles by linear interpolation between order statistics.   values: not empty, any order
template <class T>
std::vector<T> break_points(std::vector<T> values) {
  const auto last = static_cast<int64_t>(values.size()) - 1;
  const auto place_of = [&](int64_t i) {
    return static_cast<double>(10 + i) / 100 * static_cast<double>(last);
  };
  std::vector<int64_t> places;
  for (int64_t i = 0; i < kBreakPoints; ++i)
    for (const int64_t step : {0, 1})
      places.push_back(std::min(last, static_cast<int64_t>(place_of(i)) + step));
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  select_all(std::span<T>(values), std::span<const int64_t>(places));
  std::vector<T> points;
  for (int64_t i = 0; i < kBreakPoints; ++i) {
    const auto below = static_cast<int64_t>(place_of(i));
    const T low = values[below], high = values[std::min(last, below + 1)];
    points.push_back(low + static_cast<T>(place_of(i) - static_cast<double>(below)) * (high - low));
  }
  return points;
}

// The magnitudes whose quantiles are tried: those of `columns`, and `zeros` columns of zeros.
template <class T>
std::vector<T> magnitudes(const Search<T>& search, const std::vector<int64_t>& columns,
                          int64_t zeros) {
  constexpr T kGreatest = std::numeric_limits<T>::max();
  std::vector<T> result(static_cast<size_t>(zeros * search.block.out));
  result.reserve(result.size() + columns.size() * static_cast<size_t>(search.block.out));
  for (const int64_t column : columns)
    for (int64_t row = 0; row < search.block.out; ++row) {
      const T size = std::abs(search.number(column, row));
      result.push_back(size < kGreatest ? size : kGreatest);  // a sweep gone wrong: no NaN to sort
    }
  return result;
}

template <class T>
BinaryStructure<T> search_structure(const Search<T>& search) {
  BinaryStructure<T> structure;
  structure.salient.assign(static_cast<size_t>(search.block.columns), 0);
  structure.on_metric = search.on_metric;
  const auto width = static_cast<int64_t>(search.columns.size());
  if (width == 0) return structure;
  // the salient columns; the others count as if they had two signs as well
  const int64_t counts = std::min(kMostSalient, width - 1);
  int64_t salient = 0;
  if (counts > 0) {
    const std::vector<int64_t> ranked = ranked_columns(search);
    salient = 1 + cheapest(search, ranked, counts,
                           [&](const T* tile, const T* importance, double* costs) {
                             search.kernels.salient_costs(width, counts, tile, importance, costs);
                           });
    for (int64_t k = 0; k < salient; ++k) structure.salient[ranked[k]] = 1;
  }
  // the break point of the others; the published code's quantiles see zeros for the salient ones
  std::vector<int64_t> others;
  for (const int64_t column : search.columns)
    if (!structure.salient[column]) others.push_back(column);
  const std::vector<T> points =
      break_points(magnitudes(search, others, search.on_metric ? salient : 0));
  const int64_t chosen = cheapest(
      search, others, kBreakPoints, [&](const T* tile, const T* importance, double* costs) {
        search.kernels.split_costs(static_cast<int64_t>(others.size()), tile, importance,
                                   kBreakPoints, points.data(), costs);
      });
  structure.break_point = points[chosen];
  return structure;
}

}  // namespace

template <class T>
BinaryStructure<T> search_on_metric(const BinaryBlock<T>& block, const BinaryKernels<T>& kernels) {
  std::vector<int64_t> columns(static_cast<size_t>(block.columns));
  std::iota(columns.begin(), columns.end(), 0);
  const std::vector<T> ones(columns.size(), T{1});
  return search_structure(Search<T>{block, kernels, columns, ones, /*on_metric=*/true});
}

template <class T>
BinaryStructure<T> search_on_weights(const BinaryBlock<T>& block, const BinaryKernels<T>& kernels) {
  std::vector<int64_t> live;
  for (int64_t column = 0; column < block.columns; ++column)
    if (block.importance[column] > 0) live.push_back(column);
  const std::vector<T> importance(block.importance.begin(), block.importance.end());
  BinaryStructure<T> ours =
      search_structure(Search<T>{block, kernels, live, importance, /*on_metric=*/false});
  BinaryStructure<T> published = search_on_metric(block, kernels);
  const auto loss = [&](const BinaryStructure<T>& structure) {
    return fit_structure(block, structure, block.importance, kernels).loss;
  };
  return loss(published) < loss(ours) ? published : ours;
}

template <class T>
BinaryFit<T> fit_structure(const BinaryBlock<T>& block, const BinaryStructure<T>& structure,
                           std::span<const T> weights_in_means, const BinaryKernels<T>& kernels) {
  const int64_t rows = block.rows, size = block.columns * kLanes;
  BinaryFit<T> fit;
  fit.means.resize(static_cast<size_t>(4 * rows));
  fit.scales.resize(static_cast<size_t>(4 * rows));
  std::vector<double> losses(static_cast<size_t>(rows / kLanes));
  parallel_for(block.threads, rows, kLanes, [&](int64_t begin, int64_t end) {
    std::vector<T> members[3], values(size);  // bulk, tail, salient; what remains
    for (int64_t row = begin; row < end; row += kLanes) {
      for (std::vector<T>& part : members) part.assign(size, T{0});
      for (int64_t column = 0; column < block.columns; ++column) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const T weight = block.weights[column * rows + row + lane];
          const int part = structure.salient[column]                             ? 2
                           : structure.in_tail(weight, block.importance[column]) ? 1
                                                                                 : 0;
          members[part][column * kLanes + lane] = weights_in_means[column];
          values[column * kLanes + lane] = weight;
        }
      }
      // the last region twice: its rest is binarized again
      for (int order = 0; order < 4; ++order)
        kernels.binarize(block.columns, members[std::min(order, 2)].data(), values.data(),
                         fit.means.data() + order * rows + row,
                         fit.scales.data() + order * rows + row);
      double& loss = losses[row / kLanes];
      for (int64_t i = 0; i < size; ++i)
        loss += static_cast<double>(block.importance[i / kLanes] * values[i] * values[i]);
    }
  });
  fit.loss = std::accumulate(losses.begin(), losses.end(), 0.0);
  return fit;
}

template BinaryStructure<float> search_on_metric(const BinaryBlock<float>&,
                                                 const BinaryKernels<float>&);
template BinaryStructure<double> search_on_metric(const BinaryBlock<double>&,
                                                  const BinaryKernels<double>&);
template BinaryStructure<float> search_on_weights(const BinaryBlock<float>&,
                                                  const BinaryKernels<float>&);
template BinaryStructure<double> search_on_weights(const BinaryBlock<double>&,
                                                   const BinaryKernels<double>&);
template BinaryFit<float> fit_structure(const BinaryBlock<float>&, const BinaryStructure<float>&,
                                        std::span<const float>, const BinaryKernels<float>&);
template BinaryFit<double> fit_structure(const BinaryBlock<double>&, const BinaryStructure<double>&,
                                         std::span<const double>, const BinaryKernels<double>&);

}  // namespace halftone
