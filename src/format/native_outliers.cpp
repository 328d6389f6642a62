// The sidecar of weights outside the grid, row by row:
//
//   NAME.outlier_counts    U16 [out]           outliers of each row; I32 where in > 65535
//   NAME.outlier_columns   U16 [outliers]      ascending in each row; I32 where in > 65535
//   NAME.outlier_values    F16 [outliers]      the weight itself, in place of what the code says
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "format/native_kinds.h"
#include "format/side_parts_check.h"

namespace halftone {
namespace {

constexpr int64_t kGreatestShort = 65535;

std::string_view stored_type(int64_t in) {
  return in <= kGreatestShort ? "U16" : "I32";
}

// Numbers up to `in` in their stored type.   numbers: any shape int32
at::Tensor shortened(const at::Tensor& numbers, int64_t in) {
  const at::Tensor from = numbers.contiguous();
  if (in > kGreatestShort) return from;
  at::Tensor to = at::empty(numbers.sizes(), at::kUInt16);
  const auto* first = from.const_data_ptr<int32_t>();
  std::transform(first, first + from.numel(), to.mutable_data_ptr<uint16_t>(),
                 [](int32_t number) { return static_cast<uint16_t>(number); });
  return to;
}

// A stored list as int32.
at::Tensor load_list(const NativeParts& parts, std::string_view part, int64_t in, int64_t length) {
  const at::Tensor from = parts.load(part, {stored_type(in)}, {length}).contiguous();
  at::Tensor to = at::empty({length}, at::kInt);
  if (in <= kGreatestShort)
    std::copy_n(from.const_data_ptr<uint16_t>(), length, to.mutable_data_ptr<int32_t>());
  else
    to.copy_(from);
  return to;
}

// counts: (out) int32 -> (out + 1) int64. Error: a negative one; another sum than `total`.
at::Tensor starts_of(const at::Tensor& counts, int64_t total) {
  require(counts.min().item<int32_t>() >= 0, "'.outlier_counts': one is negative");
  at::Tensor starts = at::zeros({counts.size(0) + 1}, at::kLong);
  starts.narrow(0, 1, counts.size(0)).copy_(counts.to(at::kLong).cumsum(0));
  require(starts[-1].item<int64_t>() == total,
          "'.outlier_counts': their sum is {}, but there are {} values", starts[-1].item<int64_t>(),
          total);
  return starts;
}

}  // namespace

void pack_outliers(const Outliers& outliers, int64_t in, const StoreNativePart& store) {
  store(".outlier_counts", shortened(outliers.row_starts.diff().to(at::kInt), in));
  store(".outlier_columns", shortened(outliers.columns, in));
  store(".outlier_values", outliers.values.to(at::kHalf));
}

void check_outlier_parts(const NativeLinear& described, const NativeParts& parts) {
  if (!described.outliers) {
    for (const std::string& part : kNativeOutlierParts)
      require(!parts.has(part), "'{}': the metadata says there is none", part);
    return;
  }
  parts.check(".outlier_counts", {stored_type(described.in)}, {described.out});
  const int64_t count = parts.list_length(".outlier_values", {"F16"});
  parts.check(".outlier_columns", {stored_type(described.in)}, {count});
}

Outliers read_outliers(const NativeLinear& described, const NativeParts& parts) {
  const int64_t count = parts.list_length(".outlier_values", {"F16"});
  Outliers outliers{.row_starts = starts_of(
                        load_list(parts, ".outlier_counts", described.in, described.out), count),
                    .columns = load_list(parts, ".outlier_columns", described.in, count),
                    .values = parts.load_numbers(".outlier_values", {"F16"}, {count})};
  check_outliers(outliers, described.out, described.in);
  return outliers;
}

}  // namespace halftone
