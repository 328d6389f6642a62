#include "format/gguf_blocks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

// What a type's blocks stand for in terms of our codes q and scales s.
struct BlockGrid {
  std::string_view type;
  int bits;
  bool symmetric;
  std::string_view fallback;  // gguf_fallback
  GridKind kind = GridKind::kUniform;
  // d = -s, code = 2^bits - 1 - q: s (q - 2) = d (code - 1).
  bool downwards = false;
  std::optional<Codebook> codebook = {};
  Levels levels = Levels::kEven;

  SuperBlockShape super_block() const { return super_block_shape(bits, levels); }
  bool is_uniform() const { return kind == GridKind::kUniform; }
  bool holds(const StoredGrid& stored) const {
    if (stored.kind != kind) return false;
    if (codebook) return stored.codebook == *codebook;
    return stored.bits == bits && stored.symmetric == symmetric && stored.levels == levels;
  }
};

constexpr BlockGrid super_blocks(std::string_view type, int bits, std::string_view fallback) {
  return {.type = type,
          .bits = bits,
          .symmetric = super_block_shape(bits).symmetric,
          .fallback = fallback,
          .kind = GridKind::kSuperBlock};
}

constexpr BlockGrid uneven(Levels levels, std::string_view fallback) {
  const LevelsShape shape = levels_shape(levels);
  return {.type = shape.type,
          .bits = shape.bits,
          .symmetric = true,
          .fallback = fallback,
          .kind = GridKind::kSuperBlock,
          .levels = levels};
}

constexpr BlockGrid vectors(Codebook codebook) {
  const CodebookShape shape = codebook_shape(codebook);
  return {.type = shape.type,
          .bits = shape.bits,
          .symmetric = true,
          .fallback = "IQ4_NL",
          .kind = GridKind::kVector,
          .codebook = codebook};
}

constexpr int kFine = 8;              // bits from which on no search for scales pays
constexpr int64_t kMostScales = 4;    // of a block: NVFP4
constexpr int64_t kMostInBlock = 64;  // weights in a block of a uniform grid

constexpr std::array kGrids{
    BlockGrid{.type = "Q2_0", .bits = 2, .symmetric = true, .fallback = "Q4_0", .downwards = true},
    BlockGrid{.type = "Q4_0", .bits = 4, .symmetric = true, .fallback = ""},
    BlockGrid{.type = "Q4_1", .bits = 4, .symmetric = false, .fallback = ""},
    BlockGrid{.type = "Q5_0", .bits = 5, .symmetric = true, .fallback = ""},
    BlockGrid{.type = "Q5_1", .bits = 5, .symmetric = false, .fallback = ""},
    BlockGrid{.type = "Q8_0", .bits = 8, .symmetric = true, .fallback = ""},
    super_blocks("Q2_K", 2, "Q4_0"),
    super_blocks("Q3_K", 3, "Q4_0"),
    super_blocks("Q4_K", 4, "Q5_0"),
    super_blocks("Q5_K", 5, "Q5_1"),
    super_blocks("Q6_K", 6, "Q8_0"),
    uneven(Levels::kIq4Nl, ""),
    uneven(Levels::kIq4Xs, "IQ4_NL"),
    vectors(Codebook::kIq2Xxs),
    vectors(Codebook::kIq2Xs),
    vectors(Codebook::kIq2S),
    vectors(Codebook::kIq3Xxs),
    vectors(Codebook::kIq3S),
    uneven(Levels::kTq1, "Q4_0"),
    uneven(Levels::kTq2, "Q4_0"),
    uneven(Levels::kQ1, ""),
    uneven(Levels::kMxfp4, ""),
    uneven(Levels::kNvfp4, "")};

const BlockGrid* find_grid(auto&& matches) {
  const auto found = std::find_if(kGrids.begin(), kGrids.end(), matches);
  return found == kGrids.end() ? nullptr : &*found;
}

const BlockGrid* grid_with(const StoredGrid& stored) {
  return find_grid([&](const BlockGrid& grid) { return grid.holds(stored); });
}

const BlockGrid* grid_named(std::string_view type) {
  return find_grid([&](const BlockGrid& grid) { return grid.type == type; });
}

const BlockGrid& grid_of(const GgufType& type) {
  const BlockGrid* found = grid_named(type.name);
  require(found != nullptr, "{}: no grid of ours", type.name);
  return *found;
}

std::string known_grids() {
  std::string list;
  for (const BlockGrid& grid : kGrids)
    if (grid.is_uniform())
      list += fmt::format("{}{} bits {}symmetric ({})", list.empty() ? "" : ", ", grid.bits,
                          grid.symmetric ? "" : "a", grid.type);
  return list;
}

// Significant bits of a scale that its type's float16 numbers hold.
int held_scale_bits(const BlockGrid& grid) {
  return significant_bits(at::kHalf) - (grid.symmetric ? 0 : grid.bits);
}

uint16_t float16_bits(float number) {
  require(std::abs(number) <= 65504, "{} is beyond float16, in which GGUF blocks store scales",
          number);
  return c10::Half(number).x;
}

}  // namespace

std::string gguf_grid_refusal(const LinearPlan& linear) {
  LinearPlan positive = linear;  // a scale of either sign is what blocks are made for
  positive.grid.signed_scales = false;
  const bool blocks_of_blocks =
      linear.grid.kind == GridKind::kSuperBlock || linear.grid.kind == GridKind::kVector;
  if (blocks_of_blocks) positive.grid.kind = GridKind::kUniform;
  if (std::string why = plain_grid_refusal(positive); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (grid.group_index) return "groups in the order of quantization; GGUF needs static groups";
  const BlockGrid* blocks = grid_with(grid);
  if (blocks == nullptr)
    return fmt::format("{} bits {}; GGUF blocks hold uniform grids of {}", grid.bits,
                       grid.symmetric ? "symmetric" : "asymmetric", known_grids());
  const int64_t block = find_gguf_type(blocks->type)->block_length;
  const int64_t columns = grid.columns_per_group(linear.in);
  if (linear.in % block != 0)
    return fmt::format("{} input columns; blocks of {} need a multiple of {}", linear.in,
                       blocks->type, block);
  if (blocks_of_blocks) return "";
  if (columns % block != 0)
    return fmt::format("groups of {} columns; blocks of {} need a multiple of {}", columns,
                       blocks->type, block);
  const int needed = grid.scale_bits + (grid.symmetric ? 0 : grid.bits);
  const int held = significant_bits(at::kHalf);
  if (needed > held)
    return fmt::format(
        "{} of {} significant bits; the float16 of a block holds {}: grid.scale_bits = {}",
        grid.symmetric ? "scales" : "least values", needed, held, held_scale_bits(*blocks));
  return "";
}

const GgufType* gguf_type_of(const LinearPlan& linear) {
  const BlockGrid* grid = grid_with(linear.grid);
  return grid == nullptr ? nullptr : find_gguf_type(grid->type);
}

GridSettings gguf_grid_settings(const GgufType& type, bool compensated) {
  const BlockGrid* grid = grid_named(type.name);
  if (grid == nullptr) return {};
  const bool uniform = grid->is_uniform(), vector = grid->codebook.has_value();
  const bool searched = grid->bits < kFine;
  const int64_t group = uniform  ? type.block_length
                        : vector ? codebook_shape(*grid->codebook).group_size
                                 : grid->super_block().group_size;
  const auto word = [](bool is) { return std::string(is ? "true" : "false"); };
  GridSettings settings = {
      {"grid.kind", uniform  ? "uniform"
                    : vector ? "vector"
                             : "superblock"},
      {"grid.bits", std::to_string(grid->bits)},
      {"grid.group_size", std::to_string(group)},
      {"grid.symmetric", word(grid->symmetric)},
      {"grid.signed_scale", word(uniform && grid->symmetric)},
      {"grid.clip_search", word(searched)},
      {"grid.clip_weights", searched && compensated ? "factor" : "none"},
      {"grid.scale_bits", uniform ? std::to_string(held_scale_bits(*grid)) : "-1"}};
  if (grid->kind == GridKind::kSuperBlock)
    settings.emplace_back("grid.levels", std::string(levels_shape(grid->levels).word));
  if (vector) {
    settings.emplace_back("grid.codebook", std::string(codebook_shape(*grid->codebook).word));
    settings.emplace_back("order.kind", "natural");
  }
  return settings;
}

std::string gguf_grid_types() {
  std::string list;
  for (const BlockGrid& grid : kGrids)
    list += fmt::format("{}{}", list.empty() ? "" : ", ", grid.type);
  return list;
}

const GgufType* gguf_fallback(const GgufType& type) {
  const BlockGrid* grid = grid_named(type.name);
  return grid == nullptr ? nullptr : find_gguf_type(grid->fallback);
}

namespace {

// Blocks of uniform grids, one row.
void put_uniform_row(const QuantizedLinear& linear, const BlockGrid& grid, const GgufType& type,
                     int64_t row, uint8_t* to) {
  const int64_t in = linear.in(), groups = linear.groups();
  const auto* codes = linear.codes.const_data_ptr<uint8_t>() + row * in;
  const auto* scales = linear.scales.const_data_ptr<float>() + row * groups;
  const auto* zeros = linear.zeros.const_data_ptr<uint8_t>() + row * groups;
  for (int64_t first = 0; first < in; first += type.block_length, to += type.block_bytes) {
    const int64_t group = first / linear.group_size;
    const float scale = scales[group];
    const uint16_t stored = float16_bits(grid.downwards ? -scale : scale);
    std::array<uint8_t, kMostInBlock> own{};
    for (int64_t i = 0; i < type.block_length; ++i)
      own[i] = grid.downwards ? (1 << grid.bits) - 1 - codes[first + i] : codes[first + i];
    type.pack({.codes = own.data(),
               .scale_codes = nullptr,
               .offset_codes = nullptr,
               .scales = &stored,
               .offset = grid.symmetric ? uint16_t{0}
                                        : float16_bits(-scale * static_cast<float>(zeros[group]))},
              to);
  }
}

const int8_t* signed_codes(const at::Tensor& codes) {
  return static_cast<const int8_t*>(codes.const_data_ptr());
}

void put_super_blocks(const QuantizedLinear& linear, const GgufType& type, int64_t row,
                      uint8_t* to) {
  const at::Tensor& scale_codes =
      linear.vectors ? linear.vectors->scale_codes : linear.blocks->scale_codes;
  const at::Tensor& steps = linear.vectors ? linear.vectors->steps : linear.blocks->steps;
  const int64_t columns = type.block_length, groups = columns / linear.group_size,
                count = linear.in() / columns, of_block = steps.size(1) / count;
  for (int64_t block = row * count; block < (row + 1) * count; ++block, to += type.block_bytes) {
    std::array<uint16_t, kMostScales> scales{};
    for (int64_t i = 0; i < of_block; ++i)
      scales[i] = float16_bits(steps.const_data_ptr<float>()[block * of_block + i]);
    GgufBlock numbers{.codes = linear.codes.const_data_ptr<uint8_t>() + block * columns,
                      .scale_codes = signed_codes(scale_codes) + block * groups,
                      .offset_codes = nullptr,
                      .scales = scales.data(),
                      .offset = 0};
    if (linear.blocks && linear.blocks->offsets.defined()) {
      numbers.offset_codes = signed_codes(linear.blocks->offset_codes) + block * groups;
      numbers.offset = float16_bits(linear.blocks->offsets.const_data_ptr<float>()[block]);
    }
    type.pack(numbers, to);
  }
}

}  // namespace

bool has_tensor_scale(const GgufType& type) {
  return type.name == levels_shape(Levels::kNvfp4).type;
}

std::vector<std::byte> gguf_row(const QuantizedLinear& linear, const GgufType& type, int64_t row) {
  const BlockGrid& grid = grid_of(type);
  const int64_t blocks = linear.in() / type.block_length;
  std::vector<std::byte> bytes(static_cast<size_t>(blocks * type.block_bytes));
  auto* to = reinterpret_cast<uint8_t*>(bytes.data());
  if (grid.is_uniform())
    put_uniform_row(linear, grid, type, row, to);
  else
    put_super_blocks(linear, type, row, to);
  return bytes;
}

at::Tensor as_decoded(const at::Tensor& weights, const GgufType& type) {
  if (!grid_of(type).downwards) return weights;
  return at::where(weights.eq(0), weights.neg(), weights);  // 0 d has the sign of d
}

}  // namespace halftone
