// Kind "superblock": groups whose scales and offsets are whole multiples of those of 256 columns
// (methods.md 4.3). in is a multiple of 256 and group_index is false; bits 2, 4 and 5 are not
// symmetric, 3 and 6 are; group_size is 16 at 2, 3 and 6 bits, else 32. "levels", where it is
// there, is the word of a row of levels_shape (recipe/linear_recipe.h): symmetric, and but for
// "iq4_xs" in blocks of one group (of so many columns that in is a multiple of), without
// scale_codes. With c = 4 bits a code of a scale at 2 bits, 8 at 6, else 6, and blocks = in / 256,
//
//   NAME.scale_codes    U8 [ceil(out*groups*c/8)]   one stream, row by row; symmetric: code +
//   2^(c-1) NAME.block_scales   F16 [out, blocks] NAME.offset_codes, NAME.block_offsets the same,
//   where not symmetric
//
// With group g(i) and block k(i) of a column, in float32 and in this order
//   scale[o, g] = block_scales[o, k] * scale_codes[o, g]
//   w[o, i] = scale[o, g] * codes[o, i] - block_offsets[o, k] * offset_codes[o, g]
//   w[o, i] = scale[o, g] * (codes[o, i] - 2^(bits-1))                            symmetric
//   w[o, i] = scale[o, g] * level[codes[o, i]]                                    with levels
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/native_kinds.h"
#include "format/packed_rows.h"
#include "quantize/grid/grid_entries.h"

namespace halftone {
namespace {

void describe(const StoredGrid& grid, nlohmann::json& description) {
  if (grid.levels != Levels::kEven) description["levels"] = levels_shape(grid.levels).word;
}

Levels levels_of(const NativeLinear& described) {
  if (!described.description.contains("levels")) return Levels::kEven;
  const std::string found = described.fields().text("levels");
  std::string words;
  for (const Levels levels : kUnevenLevels) {
    if (found == levels_shape(levels).word) return levels;
    words += fmt::format("{}{}", words.empty() ? "" : ", ", levels_shape(levels).word);
  }
  fail("{}: levels: expected one of {}, found {}", described.place, words, printable(found));
}

SuperBlockShape shape_of(const NativeLinear& described) {
  return super_block_shape(described.bits, levels_of(described));
}

// scale_bits: at least one; blocks of one group store no scale codes
int64_t bias_of(bool symmetric, int scale_bits) {
  return symmetric ? int64_t{1} << (scale_bits - 1) : 0;
}

std::vector<int64_t> blocks_shape(const NativeLinear& described) {
  return {described.out, described.in / shape_of(described).columns};
}

void pack(const QuantizedLinear& linear, const StoreNativePart& store) {
  const SuperBlocks& blocks = *linear.blocks;
  const int bits = super_block_shape(linear.bits, blocks.levels).scale_bits;
  if (bits > 0) {
    const at::Tensor codes = blocks.scale_codes.to(at::kShort) + bias_of(linear.symmetric, bits);
    store(".scale_codes", pack_bytes(codes.to(at::kByte), bits));
  }
  store(".block_scales", blocks.steps.to(at::kHalf));
  if (linear.symmetric) return;
  store(".offset_codes", pack_bytes(blocks.offset_codes.to(at::kByte), bits));
  store(".block_offsets", blocks.offsets.to(at::kHalf));
}

void check(const NativeLinear& described, const NativeParts& parts) {
  const SuperBlockShape shape = shape_of(described);
  require(shape.group_size > 0 && described.group_size == shape.group_size &&
              described.symmetric == shape.symmetric && !described.group_index &&
              described.in % shape.columns == 0,
          "{}: {} bits, groups of {}, {}symmetric, {} columns: no super-blocks", described.place,
          described.bits, described.group_size, described.symmetric ? "" : "a", described.in);
  if (shape.scale_bits > 0)
    check_group_codes(described, parts, ".scale_codes", shape.scale_bits);
  else
    require(!parts.has(".scale_codes"), "'.scale_codes': blocks of one group have none");
  parts.check(".block_scales", {"F16"}, blocks_shape(described));
  if (!shape.symmetric) {
    check_group_codes(described, parts, ".offset_codes", shape.scale_bits);
    return parts.check(".block_offsets", {"F16"}, blocks_shape(described));
  }
  for (const std::string_view part : {".offset_codes", ".block_offsets"})
    require(!parts.has(part), "'{}': symmetric, yet it is there", part);
}

void read(const NativeLinear& described, const NativeParts& parts, QuantizedLinear& linear) {
  const SuperBlockShape shape = shape_of(described);
  const auto codes_of = [&](std::string_view part) {
    return read_group_codes(described, parts, part, shape.scale_bits).to(at::kShort);
  };
  const auto numbers_of = [&](std::string_view part) {
    return parts.load_numbers(part, {"F16"}, blocks_shape(described));
  };
  SuperBlocks blocks{.scale_codes = {},
                     .offset_codes = {},
                     .steps = numbers_of(".block_scales"),
                     .offsets = {},
                     .levels = levels_of(described)};
  if (shape.scale_bits > 0) {
    const int64_t bias = bias_of(shape.symmetric, shape.scale_bits);
    blocks.scale_codes = (codes_of(".scale_codes") - bias).to(at::kChar);
  } else {
    blocks.scale_codes = at::ones({described.out, described.groups()}, at::kChar);
  }
  if (!shape.symmetric) {
    blocks.offset_codes = codes_of(".offset_codes").to(at::kChar);
    blocks.offsets = numbers_of(".block_offsets");
  }
  const int64_t groups = shape.columns / shape.group_size;
  linear.scales = blocks.steps.repeat_interleave(groups, 1).mul_(blocks.scale_codes);
  linear.blocks = std::move(blocks);
  // codes beyond the last level, scales that the type does not have
  if (linear.blocks->levels != Levels::kEven)
    with_context(described.place, [&] { grid_entry(GridKind::kSuperBlock).check(linear); });
}

}  // namespace

NativeKind native_super_block_kind() {
  return {.grid = GridKind::kSuperBlock,
          .name = "superblock",
          .keys = {"levels"},
          .parts = {".scale_codes", ".block_scales", ".offset_codes", ".block_offsets"},
          .describe = describe,
          .pack = pack,
          .check = check,
          .read = read};
}

}  // namespace halftone
