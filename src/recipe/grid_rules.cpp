#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "recipe/rule.h"

namespace halftone {
namespace {

bool is_bilevel(const Asked& a) {
  return a.grid.kind == GridKind::kBilevel;
}
bool is_trellis(const Asked& a) {
  return a.grid.kind == GridKind::kTrellis;
}
// What a grid in super-blocks must be; of others nothing.
struct Blocks {
  int64_t group_size;
  bool symmetric;
  int64_t columns;
};
std::optional<Blocks> blocks_of(const Asked& a) {
  if (a.grid.kind == GridKind::kVector)
    return Blocks{codebook_shape(a.grid.codebook).group_size, true, kSuperBlock};
  if (a.grid.kind != GridKind::kSuperBlock) return std::nullopt;
  const SuperBlockShape shape = a.grid.super_block();
  return Blocks{shape.group_size, shape.symmetric, shape.columns};
}
// Grids whose scales are float16 in every format.
bool stores_float16(const Asked& a) {
  return is_bilevel(a) || is_trellis(a) || blocks_of(a);
}
bool within(int value, int least, int most) {
  return value >= least && value <= most;
}

// Whether no run of rows starts within a second-level run.
bool runs_are_whole(const Asked& a) {
  const int64_t groups = std::min(a.rows, a.objective.row_groups);
  for (int64_t group = 1; group < groups; ++group)
    if (first_row_of_group(a.rows, groups, group) % a.grid.qq_groupsize != 0) return false;
  return true;
}

const Rule kGridRules[] = {
    {[](const Asked& a) {
       return a.is_binary() || is_trellis(a) || a.grid.kind == GridKind::kSuperBlock ||
              within(a.grid.bits, 2, 8);
     },
     [](const Asked& a) { return fmt::format("grid.bits: expected 2 to 8, not {}", a.grid.bits); }},
    {[](const Asked& a) { return a.grid.group_size >= 0; },
     [](const Asked& a) {
       return fmt::format("grid.group_size: expected 0 (the whole row) or more, not {}",
                          a.grid.group_size);
     }},
    {[](const Asked& a) { return a.grid.clip_norm > 0 && a.grid.clip_norm <= 16; },
     [](const Asked& a) {
       return fmt::format("grid.clip_norm: expected above 0, up to 16, not {}", a.grid.clip_norm);
     }},
    {[](const Asked& a) {
       return !a.grid.signed_scale || (a.grid.kind == GridKind::kUniform && a.grid.symmetric);
     },
     "grid.signed_scale: is of uniform grids with grid.symmetric = true alone"},
    {[](const Asked& a) {
       return a.grid.clip_weights == ClipWeights::kNone ||
              (a.grid.clip_search && a.objective.kind != ObjectiveKind::kNone);
     },
     "grid.clip_weights: factor needs grid.clip_search, which it weighs, and an objective"},
    {[](const Asked& a) { return within(a.grid.zero_min, 0, 1); },
     [](const Asked& a) {
       return fmt::format("grid.zero_min: expected 0 or 1, not {}", a.grid.zero_min);
     }},
    {[](const Asked& a) { return within(a.grid.scale_bits, -1, 24); },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: expected -1 (by bit width), 0 (unrounded) or up to 24, not {}",
           a.grid.scale_bits);
     }},
    {[](const Asked& a) {
       return !stores_float16(a) || a.grid.scale_bits == -1 || a.grid.scale_bits == 11;
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: this grid stores float16 numbers: expected -1 or 11, not {}",
           a.grid.scale_bits);
     }},
    {[](const Asked& a) {
       return a.grid.kind != GridKind::kSplit || a.outliers.kind == OutlierKind::kLasso;
     },
     "grid.kind: split needs outliers.kind = lasso, which says what the outliers are"},
};

const Rule kBinaryRules[] = {
    {[](const Asked& a) { return !a.is_binary() || a.grid.bits == 1; },
     [](const Asked& a) {
       return fmt::format("grid.bits: expected 1 with grid.kind = binary, not {}", a.grid.bits);
     }},
    {[](const Asked& a) { return !a.is_binary() || a.order.kind == OrderKind::kNatural; },
     "order.kind: expected natural with grid.kind = binary, whose blocks are runs of the "
     "file's columns"},
    {[](const Asked& a) { return !a.is_binary() || a.outliers.kind == OutlierKind::kNone; },
     "outliers.kind: expected none with grid.kind = binary, which has its salient columns"},
    {[](const Asked& a) { return !a.is_binary() || !a.grid.symmetric; },
     "grid.symmetric: expected false with grid.kind = binary, which stores means"},
    {[](const Asked& a) {
       return !a.is_binary() || a.grid.scale_bits == -1 || a.grid.scale_bits == 0 ||
              a.grid.scale_bits == 11;
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: expected 11 (float16; -1 means the same) or 0 (float32) with "
           "grid.kind = binary, not {}",
           a.grid.scale_bits);
     }},
    {[](const Asked& a) {
       return !a.grid.is_binary_parity() || (a.target.alpha == 0 && a.target.alpha2 == 0);
     },
     "grid.mode: parity copies a code that knows no target.alpha and target.alpha2; set both "
     "to 0"},
    {[](const Asked& a) { return !a.grid.is_binary_parity() || !a.target.automatic; },
     "grid.mode: parity copies a code that knows no targets; set target.auto = false"},
};

const Rule kBilevelRules[] = {
    {[](const Asked& a) { return !is_bilevel(a) || within(a.grid.qq_scale_bits, 1, 8); },
     [](const Asked& a) {
       return fmt::format("grid.qq_scale_bits: expected 1 to 8, not {}", a.grid.qq_scale_bits);
     }},
    {[](const Asked& a) { return !is_bilevel(a) || within(a.grid.qq_zero_bits, 1, 8); },
     [](const Asked& a) {
       return fmt::format("grid.qq_zero_bits: expected 1 to 8, not {}", a.grid.qq_zero_bits);
     }},
    {[](const Asked& a) {
       return !is_bilevel(a) ||
              (a.grid.qq_groupsize >= 1 && kRowsAtOnce % a.grid.qq_groupsize == 0);
     },
     [](const Asked& a) {
       return fmt::format("grid.qq_groupsize: expected a divisor of {}, not {}", kRowsAtOnce,
                          a.grid.qq_groupsize);
     }},
    {[](const Asked& a) { return !is_bilevel(a) || runs_are_whole(a); },
     [](const Asked& a) {
       return fmt::format(
           "objective.row_groups {}: {} rows do not fall into as many whole runs of "
           "grid.qq_groupsize = {} rows, which share numbers",
           a.objective.row_groups, a.rows, a.grid.qq_groupsize);
     }},
    {[](const Asked& a) { return !is_bilevel(a) || !a.grid.clip_search; },
     "grid.clip_search: a bilevel grid has no clip search"},
};

const Rule kSuperBlockRules[] = {
    {[](const Asked& a) {
       return a.grid.kind != GridKind::kSuperBlock || a.grid.super_block().group_size > 0;
     },
     [](const Asked& a) {
       if (a.grid.levels == Levels::kEven)
         return fmt::format("grid.bits: expected 2 to 6 with grid.kind = superblock, not {}",
                            a.grid.bits);
       const LevelsShape shape = levels_shape(a.grid.levels);
       return fmt::format("grid.bits: expected {} with the levels of {}, not {}", shape.bits,
                          shape.type, a.grid.bits);
     }},
    {[](const Asked& a) {
       return a.grid.kind == GridKind::kSuperBlock || a.grid.levels == Levels::kEven;
     },
     "grid.levels: other than even needs grid.kind = superblock"},
    {[](const Asked& a) {
       return a.grid.kind != GridKind::kVector ||
              codebook_shape(a.grid.codebook).bits == a.grid.bits;
     },
     [](const Asked& a) {
       return fmt::format("grid.bits: expected {} with the codebook of {}, not {}",
                          codebook_shape(a.grid.codebook).bits,
                          codebook_shape(a.grid.codebook).type, a.grid.bits);
     }},
    {[](const Asked& a) { return !blocks_of(a) || blocks_of(a)->group_size == a.grid.group_size; },
     [](const Asked& a) {
       return fmt::format("grid.group_size: this grid's groups are of {} columns, not {}",
                          blocks_of(a)->group_size, a.grid.group_size);
     }},
    {[](const Asked& a) { return !blocks_of(a) || blocks_of(a)->symmetric == a.grid.symmetric; },
     [](const Asked& a) {
       return fmt::format("grid.symmetric: expected {} for this grid", !a.grid.symmetric);
     }},
    {[](const Asked& a) { return !blocks_of(a) || a.columns % blocks_of(a)->columns == 0; },
     [](const Asked& a) {
       return fmt::format("grid.kind: super-blocks need a multiple of {} input columns, not {}",
                          blocks_of(a)->columns, a.columns);
     }},
    {[](const Asked& a) { return !blocks_of(a) || a.outliers.kind == OutlierKind::kNone; },
     "outliers.kind: expected none beside super-blocks"},
    {[](const Asked& a) { return !blocks_of(a) || !a.order.groups_follow_order(); },
     "order.static_groups: expected true with order.kind = activation: super-blocks are runs of "
     "the file's columns"},
    {[](const Asked& a) {
       return a.grid.kind != GridKind::kVector || a.order.kind == OrderKind::kNatural;
     },
     "order.kind: expected natural with grid.kind = vector, whose points are runs of the file's "
     "columns"},
};

const Rule kTrellisRules[] = {
    {[](const Asked& a) { return !is_trellis(a) || kTrellisBits.holds(a.grid.bits); },
     [](const Asked& a) {
       return fmt::format("grid.bits: expected {} to {} with grid.kind = trellis, not {}",
                          kTrellisBits.least, kTrellisBits.most, a.grid.bits);
     }},
    {[](const Asked& a) { return !is_trellis(a) || kTrellisStateBits.holds(a.grid.state_bits); },
     [](const Asked& a) {
       return fmt::format("grid.state_bits: expected {} to {}, not {}", kTrellisStateBits.least,
                          kTrellisStateBits.most, a.grid.state_bits);
     }},
    {[](const Asked& a) { return !is_trellis(a) || a.grid.group_size == 0; },
     [](const Asked& a) {
       return fmt::format(
           "grid.group_size: expected 0 with grid.kind = trellis, which has a scale a row, not {}",
           a.grid.group_size);
     }},
    {[](const Asked& a) { return !is_trellis(a) || a.grid.symmetric; },
     "grid.symmetric: expected true with grid.kind = trellis, which has no zeros"},
    {[](const Asked& a) { return !is_trellis(a) || !a.grid.clip_search; },
     "grid.clip_search: expected false with grid.kind = trellis, which looks for its scales on "
     "tiles"},
    {[](const Asked& a) {
       return !is_trellis(a) || (a.rows % kTrellisSide == 0 && a.columns % kTrellisSide == 0);
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.kind: trellis tiles need rows and columns in multiples of {}, not {} by {}",
           kTrellisSide, a.rows, a.columns);
     }},
    {[](const Asked& a) { return !is_trellis(a) || a.outliers.kind == OutlierKind::kNone; },
     "outliers.kind: expected none with grid.kind = trellis, whose weights are rotated"},
    {[](const Asked& a) { return !is_trellis(a) || a.order.kind == OrderKind::kNatural; },
     "order.kind: expected natural with grid.kind = trellis, whose tiles are runs of the file's "
     "columns"},
    {[](const Asked& a) { return !is_trellis(a) || a.objective.row_groups == 1; },
     [](const Asked& a) {
       return fmt::format(
           "objective.row_groups {}: expected 1 with grid.kind = trellis, whose rows are rotated "
           "into each other",
           a.objective.row_groups);
     }},
};

}  // namespace

void check_grid(const Asked& asked) {
  for (const std::span<const Rule> rules : std::initializer_list<std::span<const Rule>>{
           kBinaryRules, kGridRules, kBilevelRules, kSuperBlockRules, kTrellisRules})
    check(rules, asked);
}

}  // namespace halftone
