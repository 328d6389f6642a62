#include "format/grid_parts_check.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"

namespace halftone {
namespace {

// shape: (out, groups), (runs, groups) of the numbers it stands for
void check_level(const char* what, const SecondLevel& level, const std::vector<int64_t>& codes,
                 const std::vector<int64_t>& runs) {
  require(level.bits >= 1 && level.bits <= 8, "{}: expected codes of 1 .. 8 bits, found {}", what,
          level.bits);
  check_tensor(what, level.codes, at::kByte, codes);
  check_below(what, level.codes, int64_t{1} << level.bits);
  for (const at::Tensor& numbers : {level.steps, level.zeros}) {
    check_tensor(what, numbers, at::kFloat, runs);
    check_float16(what, numbers);
  }
}

}  // namespace

void check_tensor(const char* what, const at::Tensor& tensor, at::ScalarType dtype,
                  const std::vector<int64_t>& shape) {
  require(tensor.defined() && tensor.scalar_type() == dtype && tensor.sizes() == shape,
          "{}: expected {} of ({}), found {} of ({})", what, c10::toString(dtype),
          fmt::join(shape, ", "), tensor.defined() ? c10::toString(tensor.scalar_type()) : "none",
          tensor.defined() ? fmt::format("{}", fmt::join(tensor.sizes(), ", ")) : "");
}

void check_below(const char* what, const at::Tensor& numbers, int64_t limit) {
  if (numbers.numel() == 0) return;
  const auto [least, most] = numbers.aminmax();
  require(least.item<int64_t>() >= 0 && most.item<int64_t>() < limit,
          "{}: expected 0 .. {}, found {} .. {}", what, limit - 1, least.item<int64_t>(),
          most.item<int64_t>());
}

void check_float16(const char* what, const at::Tensor& numbers) {
  require(numbers.isfinite().all().item<bool>(), "{}: a number is not finite", what);
  require(at::equal(numbers.to(at::kHalf).to(at::kFloat), numbers),
          "{}: a number is not exact in float16", what);
}

void check_bilevel(const QuantizedLinear& linear) {
  const BilevelStatistics& bilevel = *linear.bilevel;
  require(bilevel.run_size >= 1, "run size: expected 1 or more, found {}", bilevel.run_size);
  const std::vector<int64_t> codes = linear.scales.sizes().vec();
  const std::vector<int64_t> runs = {bilevel.runs(linear.out()), linear.groups()};
  check_level("second-level scales", bilevel.scales, codes, runs);
  require(at::equal(linear.scales, reconstruct(bilevel.scales, bilevel.run_size)),
          "scales: not those of the second level");
  if (!bilevel.zeros) return;
  check_level("second-level zeros", *bilevel.zeros, codes, runs);
  require(at::equal(linear.zeros, reconstruct(*bilevel.zeros, bilevel.run_size)),
          "zeros: not those of the second level");
}

void check_binary(const QuantizedLinear& linear, int64_t groups) {
  const BinaryPlanes& planes = *linear.binary;
  require(linear.bits == 2 && !linear.symmetric && !linear.group_of_column.defined(),
          "a binary grid has codes of 2 bits, is not symmetric and has no group index");
  check_tensor("salient columns", planes.salient, at::kByte, {linear.in()});
  check_below("salient columns", planes.salient, 2);
  for (const at::Tensor& numbers : {planes.means, planes.scales}) {
    check_tensor("means and scales", numbers, at::kFloat, {linear.out(), groups, 4});
    require(numbers.isfinite().all().item<bool>(), "means and scales: one is not finite");
  }
  require(planes.scales.ge(0).all().item<bool>(), "scales: one is below 0");
}

void check_split(const QuantizedLinear& linear) {
  const SplitOutliers& split = *linear.split;
  const std::vector<int64_t> by_group = linear.scales.sizes().vec();
  check_tensor("outlier members", split.members, at::kBool, {linear.out(), linear.in()});
  check_tensor("outlier scales", split.scales, at::kFloat, by_group);
  require(split.scales.isfinite().all().item<bool>(), "outlier scales: one is not finite");
  check_tensor("outlier zeros", split.zeros, at::kByte, by_group);
  check_below("outlier zeros", split.zeros, int64_t{1} << linear.bits);
  const int zero = split.sign_magnitude ? 0 : 1 << (linear.bits - 1);
  if (split.sign_magnitude || linear.symmetric)
    require(split.zeros.eq(zero).all().item<bool>(), "outlier zeros: expected {} everywhere", zero);
  require(std::isfinite(split.floor) && split.floor >= 0,
          "outlier floor: expected a number from 0 up, found {}", split.floor);
  require(split.sign_magnitude || split.floor == 0, "outlier floor: {}, yet codes have no sign",
          split.floor);
  if (!linear.group_of_column.defined()) return;
  const int64_t most = linear.group_of_column.bincount().max().item<int64_t>();
  require(most <= linear.group_size, "group of column: {} columns in a group of {}", most,
          linear.group_size);
}

void check_dead_columns(const at::Tensor& columns, int64_t in) {
  require(columns.dim() == 1 && columns.scalar_type() == at::kInt && columns.size(0) >= 1,
          "dead columns: expected a list of int32");
  check_below("dead columns", columns, in);
  require(columns.diff().gt(0).all().item<bool>(), "dead columns: they do not ascend");
}

void check_outliers(const Outliers& outliers, int64_t out, int64_t in) {
  require(outliers.values.defined() && outliers.values.dim() == 1, "outliers: expected a list");
  const int64_t count = outliers.count();
  check_tensor("outlier values", outliers.values, at::kFloat, {count});
  check_float16("outlier values", outliers.values);
  check_tensor("outlier columns", outliers.columns, at::kInt, {count});
  check_below("outlier columns", outliers.columns, in);
  check_tensor("outlier row starts", outliers.row_starts, at::kLong, {out + 1});
  const auto* starts = outliers.row_starts.const_data_ptr<int64_t>();
  const auto* columns = outliers.columns.const_data_ptr<int32_t>();
  require(starts[0] == 0 && starts[out] == count,
          "outlier row starts: expected 0 .. {}, found {} .. {}", count, starts[0], starts[out]);
  for (int64_t row = 0; row < out; ++row) {
    require(starts[row] <= starts[row + 1] && starts[row + 1] <= count,
            "outlier row starts: they do not ascend at row {}", row);
    for (int64_t i = starts[row] + 1; i < starts[row + 1]; ++i)
      require(columns[i - 1] < columns[i], "outlier columns: they do not ascend in row {}", row);
  }
}

}  // namespace halftone
