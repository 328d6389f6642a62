#include "format/side_parts_check.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "quantize/tensor_checks.h"

namespace halftone {

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
