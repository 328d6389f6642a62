#include "recipe/rules.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "recipe/held_out.h"
#include "recipe/rule.h"

namespace halftone {
namespace {

bool has_target(const Asked& a) {
  return a.target != TargetOptions{};
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
    {[](const Asked& a) { return a.objective.row_groups == 1 || !a.is_binary(); },
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

Asked asked_of(const LinearRecipe& linear, const ModelRecipe& model, const Sizes& sizes) {
  return {linear.objective, linear.target, linear.grid,    linear.outliers, linear.order, model,
          sizes.rows,       sizes.columns, sizes.sequences};
}

}  // namespace

void check(std::span<const Rule> rules, const Asked& asked) {
  for (const Rule& rule : rules)
    if (!rule.holds(asked)) fail("{}", rule.fixed ? rule.fixed : rule.message(asked));
}

void require_linear(const LinearRecipe& linear, const ModelRecipe& model, int64_t rows,
                    int64_t columns) {
  const Asked asked = asked_of(linear, model, {.rows = rows, .columns = columns});
  check(kObjectiveRules, asked);
  check_grid(asked);
  check(kOutlierRules, asked);
  check(kTargetRules, asked);
}

void require_model(const ModelRecipe& model) {
  const LinearRecipe none;
  check(kModelRules, asked_of(none, model, {}));
}

void require_sequences(const RunRecipe& run, int64_t sequences) {
  for (const auto& [name, linear] : run.linears)
    check(kSequenceRules, asked_of(linear, run.model, {.sequences = sequences}));
}

}  // namespace halftone
