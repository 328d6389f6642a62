// Kind "split": bulk and outliers of a group have scales of their own (methods.md 4.5).
//
//   NAME.scales, NAME.zeros   as in kind "uniform": the bulk's
//   NAME.split_scales       F16, BF16 or F32 [out, groups]
//   NAME.split_zeros        U8 [ceil(out*groups*bits/8)]   as zeros; "outlier_codes": "uniform"
//                                                            and asymmetric only
//   NAME.split_floor        F32 [1]                        "sign_magnitude" only
//   NAME.split_counts       U8 [out, groups]               I32 where group_size > 255
//   NAME.split_positions    U8 [ceil(outliers*p/8)]        one stream LE(p), row by row, group by
//                                                            group; p = ceil(log2(group_size))
// A position is a place among the columns of the group, which are counted in the file's order;
// positions ascend within a group. An outlier of a "uniform" code means
//   split_scale * (code - split_zero),
// one of "sign_magnitude", where s is the highest bit of the code and m the others,
//   (s ? -1 : 1) * (split_floor + split_scale * m),    a float32 product, then a float32 sum.
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/bit_stream.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"
#include "quantize/grid/grid_entries.h"

namespace halftone {
namespace {

constexpr int64_t kShortCounts = 255;  // the largest group whose outliers a U8 can count

bool sign_magnitude(const NativeLinear& described) {
  const ConfigFields fields = described.fields();
  fields.require_one_of("outlier_codes", {"uniform", "sign_magnitude"});
  return fields.text("outlier_codes") == "sign_magnitude";
}

bool has_split_zeros(const NativeLinear& described) {
  return !described.symmetric && !sign_magnitude(described);
}

std::string_view count_type(int64_t group_size) {
  return group_size <= kShortCounts ? "U8" : "I32";
}

// The columns of each group, in the file's order.
std::vector<std::vector<int64_t>> columns_of_groups(const QuantizedLinear& linear, int64_t groups) {
  const at::Tensor group = column_groups(linear);
  std::vector<std::vector<int64_t>> columns(static_cast<size_t>(groups));
  for (int64_t column = 0; column < linear.in(); ++column)
    columns[static_cast<size_t>(group.const_data_ptr<int32_t>()[column])].push_back(column);
  return columns;
}

void describe(const StoredGrid& grid, nlohmann::json& description) {
  description["outlier_codes"] = grid.sign_magnitude ? "sign_magnitude" : "uniform";
}

void pack_members(const QuantizedLinear& linear, const StoreNativePart& store) {
  const auto columns = columns_of_groups(linear, linear.groups());
  const at::Tensor members = linear.split->members.contiguous();
  at::Tensor counts = at::zeros({linear.out(), linear.groups()}, at::kInt);
  auto* count = counts.mutable_data_ptr<int32_t>();
  std::vector<uint32_t> positions;
  for (int64_t row = 0; row < linear.out(); ++row) {
    const bool* member = members.const_data_ptr<bool>() + row * linear.in();
    for (const auto& group : columns) {
      for (size_t position = 0; position < group.size(); ++position) {
        if (!member[group[position]]) continue;
        positions.push_back(static_cast<uint32_t>(position));
        ++*count;
      }
      ++count;
    }
  }
  const int bits = position_bits(linear.group_size);
  const auto outliers = static_cast<int64_t>(positions.size());
  at::Tensor stream = at::empty({stream_bytes(outliers, bits)}, at::kByte);
  pack_wide_stream(positions.data(), outliers, bits, stream.mutable_data_ptr<uint8_t>());
  store(".split_counts", linear.group_size <= kShortCounts ? counts.to(at::kByte) : counts);
  store(".split_positions", stream);
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  const SplitOutliers& split = *linear.split;
  pack_scales(".scales", linear.scales, store);
  pack_integer_zeros(linear, store);
  pack_scales(".split_scales", split.scales, store);
  if (split.sign_magnitude)
    store(".split_floor", at::full({1}, split.floor, at::kFloat));
  else if (!linear.symmetric)
    store(".split_zeros", pack_bytes(split.zeros, linear.bits));
  pack_members(linear, store);
}

void check(const NativeLinear& described, const NativeParts& parts) {
  const std::vector<int64_t> by_group = {described.out, described.groups()};
  const bool signs = sign_magnitude(described);
  require(!signs || described.bits >= 2, "{}: sign and magnitude need 2 bits or more",
          described.place);
  parts.check(".scales", {"F16", "BF16", "F32"}, by_group);
  check_integer_zeros(described, parts);
  parts.check(".split_scales", {"F16", "BF16", "F32"}, by_group);
  parts.check(".split_counts", {count_type(described.group_size)}, by_group);
  static_cast<void>(parts.list_length(".split_positions", {"U8"}));
  if (has_split_zeros(described))
    check_group_codes(described, parts, ".split_zeros", described.bits);
  if (signs) parts.check(".split_floor", {"F32"}, {1});
  require(parts.has(".split_zeros") == has_split_zeros(described),
          "'.split_zeros': the metadata says there are none");
  require(parts.has(".split_floor") == signs, "'.split_floor': the metadata says there is none");
}

// The counts of all groups and, checked against them, the length of the stream.  -> (out, groups)
at::Tensor read_counts(const NativeLinear& described, const NativeParts& parts,
                       const std::vector<std::vector<int64_t>>& columns) {
  const at::Tensor counts = parts
                                .load(".split_counts", {count_type(described.group_size)},
                                      {described.out, described.groups()})
                                .to(at::kInt)
                                .contiguous();
  const auto* count = counts.const_data_ptr<int32_t>();
  for (int64_t row = 0; row < described.out; ++row)
    for (const auto& group : columns) {
      require(*count >= 0 && *count <= static_cast<int64_t>(group.size()),
              "'.split_counts': {} outliers in a group of {} columns at row {}", *count,
              group.size(), row);
      ++count;
    }
  return counts;
}

// -> (out, in) bool
at::Tensor read_members(const NativeLinear& described, const NativeParts& parts,
                        const QuantizedLinear& linear) {
  const auto columns = columns_of_groups(linear, described.groups());
  const at::Tensor counts = read_counts(described, parts, columns);
  const auto outliers = counts.sum().item<int64_t>();
  const int bits = position_bits(described.group_size);
  const at::Tensor stream =
      parts.load(".split_positions", {"U8"}, {stream_bytes(outliers, bits)}).contiguous();
  std::vector<uint32_t> positions(static_cast<size_t>(outliers));
  unpack_wide_stream(stream.const_data_ptr<uint8_t>(), outliers, bits, positions.data());
  at::Tensor members = at::zeros({described.out, described.in}, at::kBool);
  const auto* count = counts.const_data_ptr<int32_t>();
  const uint32_t* position = positions.data();
  for (int64_t row = 0; row < described.out; ++row) {
    bool* member = members.mutable_data_ptr<bool>() + row * described.in;
    for (const auto& group : columns) {
      const int32_t here = *count++;
      for (int32_t i = 0; i < here; ++i, ++position) {
        require(*position < group.size() && (i == 0 || position[-1] < *position),
                "'.split_positions': {} in a group of {} columns at row {}: too large, or they "
                "do not ascend",
                *position, group.size(), row);
        member[group[*position]] = true;
      }
    }
  }
  return members;
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  const std::vector<int64_t> by_group = {described.out, described.groups()};
  linear.scales = parts.load_numbers(".scales", {"F16", "BF16", "F32"}, by_group);
  linear.zeros = read_integer_zeros(described, parts);
  SplitOutliers split;
  split.members = read_members(described, parts, linear);
  split.scales = parts.load_numbers(".split_scales", {"F16", "BF16", "F32"}, by_group);
  split.sign_magnitude = sign_magnitude(described);
  split.zeros =
      has_split_zeros(described)
          ? read_group_codes(described, parts, ".split_zeros", described.bits)
          : at::full(by_group, split.sign_magnitude ? 0 : 1 << (described.bits - 1), at::kByte);
  if (split.sign_magnitude)
    split.floor = parts.load_numbers(".split_floor", {"F32"}, {1}).item<float>();
  linear.split = std::move(split);
  grid_entry(linear.kind()).check(linear);
}

}  // namespace

NativeKind native_split_kind() {
  return {.grid = GridKind::kSplit,
          .name = "split",
          .keys = {"outlier_codes"},
          .parts = {".scales", ".zeros", ".split_scales", ".split_zeros", ".split_floor",
                    ".split_counts", ".split_positions"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
