#include "recipe/rules.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "recipe/held_out.h"

namespace halftone {
namespace {

// What the rules look at.
struct Asked {
  const ObjectiveOptions& objective;
  const TargetOptions& target;
  const GridOptions& grid;
  const OutlierOptions& outliers;
  const OrderOptions& order;
  const ModelRecipe& model;
  int64_t rows, columns, sequences;  // 0: not known
};

// What must hold, and what to say where it does not.
struct Rule {
  using Message = std::string (*)(const Asked& asked);

  Rule(bool (*that)(const Asked&), const char* text) : holds(that), fixed(text) {}
  Rule(bool (*that)(const Asked&), Message text) : holds(that), message(text) {}

  bool (*holds)(const Asked& asked);
  const char* fixed = nullptr;
  Message message = nullptr;  // where it names numbers
};

bool is_binary(const Asked& a) {
  return a.grid.kind == GridKind::kBinary;
}
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
bool has_target(const Asked& a) {
  return a.target != TargetOptions{};
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

std::string kind_of(const Asked& a) {
  return recipe_word(a.objective.kind);
}

// Objectives and the two streams (methods.md 3.5): a two-stream target needs the cross moment of
// its own objective. One-shot gradients of an output Hessian are those of the full-precision model,
// where nothing has drifted, and what a later drift would have to be multiplied by is gone.
const Rule kObjectiveRules[] = {
    {[](const Asked& a) { return !a.objective.needs_gradients() || !a.target.automatic; },
     [](const Asked& a) {
       return fmt::format(
           "objective.kind = {} with target.auto: its choice is made by the error of the layer's "
           "output, for objective.kind = input only",
           kind_of(a));
     }},
    {[](const Asked& a) {
       return a.objective.kind != ObjectiveKind::kOac ||
              a.model.schedule == ScheduleKind::kBlockWise || !a.target.needs_original_stream();
     },
     "objective.kind = oac with target.alpha or target.preshift above 0 needs "
     "objective.schedule = blockwise: one-shot gradients see no drift"},
    {[](const Asked& a) {
       return a.objective.gate == 0 || !a.objective.needs_gradients() ||
              a.objective.kind == ObjectiveKind::kOac;
     },
     [](const Asked& a) {
       return fmt::format("objective.gate {} with objective.kind = {}: only oac has a gate",
                          a.objective.gate, kind_of(a));
     }},
    {[](const Asked& a) { return std::isfinite(a.objective.damping) && a.objective.damping >= 0; },
     [](const Asked& a) {
       return fmt::format("objective.damping: expected 0 or more, not {}", a.objective.damping);
     }},
    {[](const Asked& a) { return a.objective.row_groups >= 1; },
     [](const Asked& a) {
       return fmt::format("objective.row_groups: expected 1 or more, not {}",
                          a.objective.row_groups);
     }},
    {[](const Asked& a) {
       return a.objective.row_groups == 1 || a.objective.kind == ObjectiveKind::kGuided;
     },
     [](const Asked& a) {
       return fmt::format(
           "objective.row_groups {}: only objective.kind = guided has Hessians for runs of rows",
           a.objective.row_groups);
     }},
    {[](const Asked& a) { return a.objective.row_groups == 1 || !is_binary(a); },
     [](const Asked& a) {
       return fmt::format(
           "objective.row_groups {}: expected 1 with grid.kind = binary, whose salient columns are "
           "those of all rows",
           a.objective.row_groups);
     }},
    {[](const Asked& a) {
       return a.order.kind == OrderKind::kNatural || a.objective.kind != ObjectiveKind::kNone;
     },
     "order.kind: activation orders columns by a Hessian, and objective.kind = none has "
     "none; expected natural"},
};

const Rule kGridRules[] = {
    {[](const Asked& a) {
       return is_binary(a) || is_trellis(a) || a.grid.kind == GridKind::kSuperBlock ||
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
       return a.grid.kind != GridKind::kSplit || a.outliers.kind == OutlierKind::kLasso;
     },
     "grid.kind: split needs outliers.kind = lasso, which says what the outliers are"},
};

const Rule kBinaryRules[] = {
    {[](const Asked& a) { return !is_binary(a) || a.grid.bits == 1; },
     [](const Asked& a) {
       return fmt::format("grid.bits: expected 1 with grid.kind = binary, not {}", a.grid.bits);
     }},
    {[](const Asked& a) { return !is_binary(a) || a.order.kind == OrderKind::kNatural; },
     "order.kind: expected natural with grid.kind = binary, whose blocks are runs of the "
     "file's columns"},
    {[](const Asked& a) { return !is_binary(a) || a.outliers.kind == OutlierKind::kNone; },
     "outliers.kind: expected none with grid.kind = binary, which has its salient columns"},
    {[](const Asked& a) { return !is_binary(a) || !a.grid.symmetric; },
     "grid.symmetric: expected false with grid.kind = binary, which stores means"},
    {[](const Asked& a) {
       return !is_binary(a) || a.grid.scale_bits == -1 || a.grid.scale_bits == 0 ||
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
    {[](const Asked& a) {
       return !is_bilevel(a) || a.grid.scale_bits == -1 || a.grid.scale_bits == 11;
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: a bilevel grid stores float16 numbers: expected -1 or 11, not {}",
           a.grid.scale_bits);
     }},
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
     "the "
     "file's columns"},
    {[](const Asked& a) {
       return a.grid.kind != GridKind::kVector || a.order.kind == OrderKind::kNatural;
     },
     "order.kind: expected natural with grid.kind = vector, whose points are runs of the file's "
     "columns"},
    {[](const Asked& a) {
       return !blocks_of(a) || a.grid.scale_bits == -1 || a.grid.scale_bits == 11;
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: super-blocks store float16 numbers: expected -1 or 11, not {}",
           a.grid.scale_bits);
     }},
};

const Rule kTrellisRules[] = {
    {[](const Asked& a) { return !is_trellis(a) || within(a.grid.bits, 1, 4); },
     [](const Asked& a) {
       return fmt::format("grid.bits: expected 1 to 4 with grid.kind = trellis, not {}",
                          a.grid.bits);
     }},
    {[](const Asked& a) { return !is_trellis(a) || within(a.grid.state_bits, 8, 16); },
     [](const Asked& a) {
       return fmt::format("grid.state_bits: expected 8 to 16, not {}", a.grid.state_bits);
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
    {[](const Asked& a) {
       return !is_trellis(a) || a.grid.scale_bits == -1 || a.grid.scale_bits == 11;
     },
     [](const Asked& a) {
       return fmt::format(
           "grid.scale_bits: a trellis grid stores float16 numbers: expected -1 or 11, not {}",
           a.grid.scale_bits);
     }},
};

bool takes_all(const Asked& a) {
  return a.outliers.kind == OutlierKind::kLasso;
}

const Rule kOutlierRules[] = {
    {[](const Asked& a) {
       return a.outliers.kind == OutlierKind::kNone ||
              (a.outliers.tau > 0 && std::isfinite(a.outliers.tau));
     },
     [](const Asked& a) {
       return fmt::format("outliers.tau: expected above 0, not {}", a.outliers.tau);
     }},
    {[](const Asked& a) {
       return a.outliers.kind == OutlierKind::kNone ||
              (a.outliers.rate >= 0 && (takes_all(a) ? a.outliers.rate <= 1 : a.outliers.rate < 1));
     },
     [](const Asked& a) {
       return fmt::format("outliers.rate: expected a share from 0 {}, not {}",
                          takes_all(a) ? "to 1" : "(by tau) to below 1", a.outliers.rate);
     }},
    {[](const Asked& a) {
       return a.outliers.ranking == OutlierRanking::kPlain || a.outliers.kind == OutlierKind::kSpqr;
     },
     "outliers.ranking: row-energy weighs what rounding costs, which only outliers.kind = "
     "spqr looks at"},
    {[](const Asked& a) {
       return a.outliers.ranking == OutlierRanking::kPlain || a.objective.needs_gradients();
     },
     "outliers.ranking: row-energy needs gradients: expected objective.kind = oac, guided or "
     "diagonal"},
};

const Rule kTargetRules[] = {
    {[](const Asked& a) {
       return a.target.fit == TargetFit::kOriginal || a.target.alpha != 0 || a.target.automatic;
     },
     "target.fit = expected is about weights that target.alpha moves, but that is 0"},
    {[](const Asked& a) { return a.target.preshift == 0 || a.target.alpha == 0; },
     [](const Asked& a) {
       return fmt::format(
           "target.preshift {} with target.alpha {}: both correct the same drift; set one of them "
           "to 0",
           a.target.preshift, a.target.alpha);
     }},
    {[](const Asked& a) {
       return !a.target.needs_original_stream() || a.objective.kind != ObjectiveKind::kNone;
     },
     "target: alpha, preshift and auto need an objective (objective.kind is none: nothing is "
     "compensated)"},
    {[](const Asked& a) { return !has_target(a) || !a.objective.is_diagonal(); },
     [](const Asked& a) {
       return fmt::format(
           "target: objective.kind = {} compensates nothing, so there is nothing to aim at",
           kind_of(a));
     }},
    {[](const Asked& a) {
       return !a.target.automatic ||
              (a.target.alpha == 0 && a.target.alpha2 == 0 && a.target.preshift == 0);
     },
     [](const Asked& a) {
       return fmt::format(
           "target.auto chooses alpha, alpha2 and preshift itself: expected 0, 0, 0 beside it, not "
           "{}, {}, {}",
           a.target.alpha, a.target.alpha2, a.target.preshift);
     }},
    {[](const Asked& a) { return !a.target.automatic || a.target.parity == TargetParity::kNone; },
     "target.parity with target.auto: the published codes choose no target"},
    {[](const Asked& a) {
       return a.target.parity == TargetParity::kNone || a.target.alpha != 0 || a.target.alpha2 != 0;
     },
     "target.parity is about target.alpha and target.alpha2, but both are 0"},
    {[](const Asked& a) {
       return a.target.parity != TargetParity::kAllw ||
              (a.grid.kind == GridKind::kUniform && a.outliers.kind == OutlierKind::kNone);
     },
     "target.parity = allw clamps weights to a grid's range: expected grid.kind = uniform "
     "and outliers.kind = none"},
};

const Rule kModelRules[] = {
    {[](const Asked& a) {
       return !a.model.transform.online || a.model.transform.rotation == RotationKind::kQuaRot;
     },
     "transform.online rotates what transform.rotation leaves: expected rotation = quarot"},
    {[](const Asked& a) { return std::isfinite(a.model.first_token) && a.model.first_token >= 0; },
     [](const Asked& a) {
       return fmt::format("objective.first_token: expected 0 or more, not {}", a.model.first_token);
     }},
    {[](const Asked& a) { return std::isfinite(a.model.pool) && a.model.pool >= 0; },
     [](const Asked& a) {
       return fmt::format("objective.pool: expected 0 or more, not {}", a.model.pool);
     }},
};

const Rule kSequenceRules[] = {
    {[](const Asked& a) { return a.objective.gate == 0 || a.sequences >= kFewestSequencesOfGate; },
     [](const Asked& a) {
       return fmt::format(
           "--sequences {}: objective.gate holds every fifth sequence out and needs at least {}",
           a.sequences, kFewestSequencesOfGate);
     }},
    {[](const Asked& a) { return !a.target.automatic || a.sequences >= kFewestSequencesOfTarget; },
     [](const Asked& a) {
       return fmt::format(
           "--sequences {}: target.auto holds a tenth of the windows out and needs at least {}",
           a.sequences, kFewestSequencesOfTarget);
     }},
};

// What is asked beside the linear's own recipe; 0: not known.
struct Sizes {
  int64_t rows = 0, columns = 0, sequences = 0;
};

void check(std::initializer_list<std::span<const Rule>> tables, const LinearRecipe& linear,
           const ModelRecipe& model, const Sizes& sizes) {
  const Asked asked{linear.objective, linear.target, linear.grid,
                    linear.outliers,  linear.order,  model,
                    sizes.rows,       sizes.columns, sizes.sequences};
  for (const std::span<const Rule> table : tables)
    for (const Rule& rule : table)
      if (!rule.holds(asked)) fail("{}", rule.fixed ? rule.fixed : rule.message(asked));
}

}  // namespace

void require_linear(const LinearRecipe& linear, const ModelRecipe& model, int64_t rows,
                    int64_t columns) {
  check({kObjectiveRules, kBinaryRules, kGridRules, kBilevelRules, kSuperBlockRules, kTrellisRules,
         kOutlierRules, kTargetRules},
        linear, model, {.rows = rows, .columns = columns});
}

void require_model(const ModelRecipe& model) {
  check({kModelRules}, {}, model, {});
}

void require_sequences(const RunRecipe& run, int64_t sequences) {
  for (const auto& [name, linear] : run.linears)
    check({kSequenceRules}, linear, run.model, {.sequences = sequences});
}

}  // namespace halftone
