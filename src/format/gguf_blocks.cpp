#include "format/gguf_blocks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

// What a type's blocks stand for in terms of our codes q and scales s.
struct BlockGrid {
  std::string_view type;
  int bits;
  bool symmetric;
  // Codes of a block, one a weight, as they follow its scale.
  void (*pack)(const uint8_t* codes, uint8_t* to);
  // d = -s, code = 2^bits - 1 - q: s (q - 2) = d (code - 1).
  bool downwards = false;
};

constexpr int64_t kBlock = 32;  // weights, of all these types but Q2_0

void pack_halves(const uint8_t* codes, uint8_t* to) {
  for (int64_t j = 0; j < kBlock / 2; ++j)
    to[j] = static_cast<uint8_t>((codes[j] & 15) | codes[j + kBlock / 2] << 4);
}

// The fifth bits first, bit j of 32 that of weight j.
void pack_five_bits(const uint8_t* codes, uint8_t* to) {
  uint32_t high = 0;
  for (int64_t j = 0; j < kBlock; ++j) high |= static_cast<uint32_t>(codes[j] >> 4) << j;
  std::memcpy(to, &high, sizeof high);
  pack_halves(codes, to + sizeof high);
}

void pack_signed_bytes(const uint8_t* codes, uint8_t* to) {
  for (int64_t j = 0; j < kBlock; ++j) to[j] = static_cast<uint8_t>(codes[j] - 128);
}

void pack_quarters(const uint8_t* codes, uint8_t* to) {
  for (int64_t j = 0; j < 64; j += 4) {
    unsigned byte = 0;
    for (int64_t k = 0; k < 4; ++k) byte |= (3U - codes[j + k]) << (2 * k);
    to[j / 4] = static_cast<uint8_t>(byte);
  }
}

constexpr std::array<BlockGrid, 6> kGrids{
    {{.type = "Q2_0", .bits = 2, .symmetric = true, .pack = pack_quarters, .downwards = true},
     {.type = "Q4_0", .bits = 4, .symmetric = true, .pack = pack_halves},
     {.type = "Q4_1", .bits = 4, .symmetric = false, .pack = pack_halves},
     {.type = "Q5_0", .bits = 5, .symmetric = true, .pack = pack_five_bits},
     {.type = "Q5_1", .bits = 5, .symmetric = false, .pack = pack_five_bits},
     {.type = "Q8_0", .bits = 8, .symmetric = true, .pack = pack_signed_bytes}}};

const BlockGrid* grid_with(int bits, bool symmetric) {
  const auto found = std::find_if(kGrids.begin(), kGrids.end(), [&](const BlockGrid& grid) {
    return grid.bits == bits && grid.symmetric == symmetric;
  });
  return found == kGrids.end() ? nullptr : &*found;
}

const BlockGrid& grid_of(const GgufType& type) {
  const auto found = std::find_if(kGrids.begin(), kGrids.end(),
                                  [&](const BlockGrid& grid) { return grid.type == type.name; });
  require(found != kGrids.end(), "{}: no grid of ours", type.name);
  return *found;
}

std::string known_grids() {
  std::string list;
  for (const BlockGrid& grid : kGrids)
    list += fmt::format("{}{} bits {}symmetric ({})", list.empty() ? "" : ", ", grid.bits,
                        grid.symmetric ? "" : "a", grid.type);
  return list;
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
  if (std::string why = plain_grid_refusal(positive); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (grid.group_index) return "groups in the order of quantization; GGUF needs static groups";
  const BlockGrid* blocks = grid_with(grid.bits, grid.symmetric);
  if (blocks == nullptr)
    return fmt::format("{} bits {}; GGUF blocks hold uniform grids of {}", grid.bits,
                       grid.symmetric ? "symmetric" : "asymmetric", known_grids());
  const int64_t block = find_gguf_type(blocks->type)->block_length;
  const int64_t columns = grid.columns_per_group(linear.in);
  if (linear.in % block != 0)
    return fmt::format("{} input columns; blocks of {} need a multiple of {}", linear.in,
                       blocks->type, block);
  if (columns % block != 0)
    return fmt::format("groups of {} columns; blocks of {} need a multiple of {}", columns,
                       blocks->type, block);
  const int needed = grid.scale_bits + (grid.symmetric ? 0 : grid.bits);
  const int held = significant_bits(at::kHalf);
  if (needed > held)
    return fmt::format(
        "{} of {} significant bits; the float16 of a block holds {}: grid.scale_bits = {}",
        grid.symmetric ? "scales" : "least values", needed, held,
        held - (grid.symmetric ? 0 : grid.bits));
  return "";
}

const GgufType* gguf_type_of(const LinearPlan& linear) {
  const BlockGrid* grid = grid_with(linear.grid.bits, linear.grid.symmetric);
  return grid == nullptr ? nullptr : find_gguf_type(grid->type);
}

std::vector<std::byte> gguf_row(const QuantizedLinear& linear, const GgufType& type, int64_t row) {
  const BlockGrid& grid = grid_of(type);
  const int64_t in = linear.in(), groups = linear.groups(), blocks = in / type.block_length;
  const auto* codes = linear.codes.const_data_ptr<uint8_t>() + row * in;
  const auto* scales = linear.scales.const_data_ptr<float>() + row * groups;
  const auto* zeros = linear.zeros.const_data_ptr<uint8_t>() + row * groups;
  std::vector<std::byte> bytes(static_cast<size_t>(blocks * type.block_bytes));
  auto* to = reinterpret_cast<uint8_t*>(bytes.data());
  for (int64_t block = 0; block < blocks; ++block, to += type.block_bytes) {
    const int64_t group = block * type.block_length / linear.group_size;
    const float scale = scales[group];
    uint8_t* next = to;
    const auto put = [&next](float number) {
      const uint16_t bits = float16_bits(number);
      std::memcpy(next, &bits, sizeof bits);
      next += sizeof bits;
    };
    put(grid.downwards ? -scale : scale);
    if (!grid.symmetric) put(-scale * static_cast<float>(zeros[group]));
    grid.pack(codes + block * type.block_length, next);
  }
  return bytes;
}

at::Tensor as_decoded(const at::Tensor& weights, const GgufType& type) {
  if (!grid_of(type).downwards) return weights;
  return at::where(weights.eq(0), weights.neg(), weights);  // 0 d has the sign of d
}

}  // namespace halftone
