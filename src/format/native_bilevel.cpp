// Kind "bilevel": scales, and zeros that are fractions, from a second level (methods.md 4.2). With
// runs = ceil(out / run_size) and r(o) = o / run_size,
//
//   NAME.scale_codes   U8 [ceil(out*groups*scale_code_bits/8)]   one stream, row by row
//   NAME.scale_steps   F16 [runs, groups]
//   NAME.scale_zeros   F16 [runs, groups]
//   NAME.zero_codes, NAME.zero_steps, NAME.zero_zeros            the same with zero_code_bits
//   NAME.zeros                                                   instead, where zero_code_bits is
//   0:
//                                                                as in kind "uniform"
// scale[o, g] = scale_steps[r(o), g] * (scale_codes[o, g] - scale_zeros[r(o), g]), in float32, and
// zero[o, g] alike; then w[o, i] = scale[o, g(i)] * (codes[o, i] - zero[o, g(i)]), in float32.
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"

namespace halftone {
namespace {

// What the description says of the second level.
struct Runs {
  int64_t size, count;
  int scale_code_bits, zero_code_bits;  // 0: integer zeros, or symmetric
};

Runs runs_of(const NativeLinear& described) {
  const ConfigFields fields = described.fields();
  const int64_t size = fields.integer("run_size", 1, INT32_MAX);
  const Runs runs{.size = size,
                  .count = (described.out + size - 1) / size,
                  .scale_code_bits = static_cast<int>(fields.integer("scale_code_bits", 1, 8)),
                  .zero_code_bits = static_cast<int>(fields.integer("zero_code_bits", 0, 8))};
  require(!described.symmetric || runs.zero_code_bits == 0,
          "{}: symmetric, yet zero_code_bits is {}", described.place, runs.zero_code_bits);
  return runs;
}

void describe(const StoredGrid& grid, nlohmann::json& description) {
  description["run_size"] = grid.run_size;
  description["scale_code_bits"] = grid.scale_code_bits;
  description["zero_code_bits"] = grid.zero_code_bits;
}

void pack_level(const std::string& of, const SecondLevel& level, const StoreNativePart& store) {
  store(of + "_codes", pack_bytes(level.codes, level.bits));
  store(of + "_steps", level.steps.to(at::kHalf));
  store(of + "_zeros", level.zeros.to(at::kHalf));
}

void check_level(const std::string& of, const NativeLinear& described, const NativeParts& parts,
                 int bits, int64_t runs) {
  check_group_codes(described, parts, of + "_codes", bits);
  parts.check(of + "_steps", {"F16"}, {runs, described.groups()});
  parts.check(of + "_zeros", {"F16"}, {runs, described.groups()});
}

SecondLevel read_level(const std::string& of, const NativeLinear& described,
                       const NativeParts& parts, int bits, int64_t runs) {
  return {.bits = bits,
          .codes = read_group_codes(described, parts, of + "_codes", bits),
          .steps = parts.load_numbers(of + "_steps", {"F16"}, {runs, described.groups()}),
          .zeros = parts.load_numbers(of + "_zeros", {"F16"}, {runs, described.groups()})};
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  pack_level(".scale", linear.bilevel->scales, store);
  if (linear.bilevel->zeros) return pack_level(".zero", *linear.bilevel->zeros, store);
  pack_integer_zeros(linear, store);
}

void check(const NativeLinear& described, const NativeParts& parts) {
  const Runs runs = runs_of(described);
  check_level(".scale", described, parts, runs.scale_code_bits, runs.count);
  if (runs.zero_code_bits == 0) {
    for (const std::string_view part : {".zero_codes", ".zero_steps", ".zero_zeros"})
      require(!parts.has(part), "'{}': zero_code_bits is 0, yet it is there", part);
    return check_integer_zeros(described, parts);
  }
  check_level(".zero", described, parts, runs.zero_code_bits, runs.count);
  require(!parts.has(".zeros"), "'.zeros': zero_code_bits is {}, yet it is there",
          runs.zero_code_bits);
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  const Runs runs = runs_of(described);
  BilevelStatistics bilevel{
      .run_size = runs.size,
      .scales = read_level(".scale", described, parts, runs.scale_code_bits, runs.count),
      .zeros = {}};
  linear.scales = reconstruct(bilevel.scales, runs.size);
  if (runs.zero_code_bits > 0) {
    bilevel.zeros = read_level(".zero", described, parts, runs.zero_code_bits, runs.count);
    linear.zeros = reconstruct(*bilevel.zeros, runs.size);
  } else {
    linear.zeros = read_integer_zeros(described, parts);
  }
  linear.bilevel = std::move(bilevel);
}

}  // namespace

NativeKind native_bilevel_kind() {
  return {.grid = GridKind::kBilevel,
          .name = "bilevel",
          .keys = {"run_size", "scale_code_bits", "zero_code_bits"},
          .parts = {".scale_codes", ".scale_steps", ".scale_zeros", ".zero_codes", ".zero_steps",
                    ".zero_zeros", ".zeros"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
