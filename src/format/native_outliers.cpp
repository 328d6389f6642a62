// The sidecar of weights outside the grid, as compressed sparse rows:
//
//   NAME.outlier_starts    I32 [out + 1]       row o has the outliers starts[o] .. starts[o+1] - 1
//   NAME.outlier_columns   U16 [outliers]      ascending in each row; I32 where in > 65536
//   NAME.outlier_values    F16 [outliers]      the weight itself, in place of what the code says
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "format/grid_parts_check.h"
#include "format/native_kinds.h"

namespace halftone {
namespace {

constexpr int64_t kShortColumns = 65536;  // as many as a U16 can name

std::string_view column_type(int64_t in) {
  return in <= kShortColumns ? "U16" : "I32";
}

// columns: (outliers) int32 -> the same as uint16
at::Tensor shortened(const at::Tensor& columns) {
  at::Tensor result = at::empty({columns.size(0)}, at::kUInt16);
  const auto* from = columns.const_data_ptr<int32_t>();
  std::transform(from, from + columns.size(0), result.mutable_data_ptr<uint16_t>(),
                 [](int32_t column) { return static_cast<uint16_t>(column); });
  return result;
}

// columns: (outliers) uint16 -> the same as int32
at::Tensor widened(const at::Tensor& columns) {
  at::Tensor result = at::empty({columns.size(0)}, at::kInt);
  const auto* from = columns.const_data_ptr<uint16_t>();
  std::copy_n(from, columns.size(0), result.mutable_data_ptr<int32_t>());
  return result;
}

}  // namespace

void pack_outliers(const Outliers& outliers, int64_t in, const StoreNativePart& store) {
  require(outliers.count() <= INT32_MAX, "outliers: {} are more than the file can count",
          outliers.count());
  store(".outlier_starts", outliers.row_starts.to(at::kInt));
  store(".outlier_columns",
        in <= kShortColumns ? shortened(outliers.columns) : outliers.columns.contiguous());
  store(".outlier_values", outliers.values.to(at::kHalf));
}

void check_outlier_parts(const NativeLinear& described, const NativeParts& parts) {
  if (!described.outliers) {
    for (const std::string& part : kNativeOutlierParts)
      require(!parts.has(part), "'{}': the metadata says there is none", part);
    return;
  }
  parts.check(".outlier_starts", {"I32"}, {described.out + 1});
  const int64_t count = parts.list_length(".outlier_values", {"F16"});
  parts.check(".outlier_columns", {column_type(described.in)}, {count});
}

Outliers read_outliers(const NativeLinear& described, const NativeParts& parts) {
  const int64_t count = parts.list_length(".outlier_values", {"F16"});
  const at::Tensor columns =
      parts.load(".outlier_columns", {column_type(described.in)}, {count}).contiguous();
  const at::Tensor starts = parts.load(".outlier_starts", {"I32"}, {described.out + 1});
  Outliers outliers{
      .row_starts = starts.to(at::kLong),
      .columns = columns.scalar_type() == at::kUInt16 ? widened(columns) : columns.clone(),
      .values = parts.load_numbers(".outlier_values", {"F16"}, {count})};
  check_outliers(outliers, described.out, described.in);
  return outliers;
}

}  // namespace halftone
