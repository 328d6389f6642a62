#include "recipe/keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/closest.h"
#include "base/error.h"
#include "recipe/grid_keys.h"
#include "recipe/key_makers.h"

namespace halftone {
namespace {

constexpr int kMostBitsOfAutomaticClipSearch = 4;

void add_end_loss_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<LabelKind, ModelRecipe>(
      "objective.labels", "of the end loss: the text's next tokens, or drawn from the model",
      {{"truth", LabelKind::kTruth}, {"sampled", LabelKind::kSampled}},
      [](auto& s) -> auto& { return s.labels; }));
  keys.push_back(word_key<ScheduleKind, ModelRecipe>(
      "objective.schedule", "gradients of the full-precision model, or behind the quantized blocks",
      {{"oneshot", ScheduleKind::kOneShot}, {"blockwise", ScheduleKind::kBlockWise}},
      [](auto& s) -> auto& { return s.schedule; }));
  keys.push_back(number_key(
      "objective.blend", "share of the input Hessian mixed into an end-loss objective", Range{0, 1},
      [](auto& s) -> auto& { return s.linear.objective.blend; }));
  keys.push_back(number_key(
      "objective.gate", "oac: least held-out score against the input Hessian's; 0 = no test",
      Range{0, 100}, [](auto& s) -> auto& { return s.linear.objective.gate; }));
  keys.push_back(integer_key(
      "objective.row_groups", "guided: runs of rows with a Hessian of their own (k)",
      Range{1, 1024}, [](auto& s) -> auto& { return s.linear.objective.row_groups; }));
}

void add_objective_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<ObjectiveKind>(
      "objective.kind", "which matrix measures the error; none = nearest value, no calibration",
      {{"none", ObjectiveKind::kNone},
       {"input", ObjectiveKind::kInput},
       {"oac", ObjectiveKind::kOac},
       {"guided", ObjectiveKind::kGuided},
       {"diagonal", ObjectiveKind::kDiagonal},
       {"imatrix", ObjectiveKind::kImatrix}},
      [](auto& s) -> auto& { return s.linear.objective.kind; }));
  keys.push_back(number_key(
      "objective.damping", "added to the Hessian's diagonal, as a share of its mean or median",
      Range{0, 10}, [](auto& s) -> auto& { return s.linear.objective.damping; }));
  keys.push_back(word_key<DampingReference>(
      "objective.damping_reference", "what damping is a share of",
      {{"mean", DampingReference::kMean}, {"median", DampingReference::kMedian}},
      [](auto& s) -> auto& { return s.linear.objective.damping_reference; }));
  keys.push_back(number_key<ModelRecipe>(
      "objective.first_token",
      "what the first token of a sequence, to which all others attend, counts in X^T X; others 1",
      Range{0, 65536}, [](auto& s) -> auto& { return s.first_token; }));
  keys.push_back(number_key<ModelRecipe>(
      "objective.pool",
      "experts: what the Hessian of all of a layer counts in each one's, in tokens a column",
      Range{0, 1024}, [](auto& s) -> auto& { return s.pool; }));
  add_end_loss_keys(keys);
}

void add_outlier_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<OutlierKind>(
      "outliers.kind",
      "weights kept outside the grid in 16 bits, or on a split grid of their own; spqr = those "
      "whose rounding costs most, lasso = the largest",
      {{"none", OutlierKind::kNone}, {"spqr", OutlierKind::kSpqr}, {"lasso", OutlierKind::kLasso}},
      [](auto& s) -> auto& { return s.linear.outliers.kind; }));
  keys.push_back(number_key(
      "outliers.tau", "spqr: cost that makes an outlier; smaller = more of them",
      "a number in 1e-6 .. 1e6", [](double v) { return v >= 1e-6 && v <= 1e6; },
      [](auto& s) -> auto& { return s.linear.outliers.tau; }));
  keys.push_back(number_key(
      "outliers.rate", "share of a linear's weights; 0 = by tau (spqr), or none (lasso)",
      Range{0, 0.2}, [](auto& s) -> auto& { return s.linear.outliers.rate; }));
  keys.push_back(boolean_key(
      "outliers.simplified", "spqr: scales are fitted to all weights, outliers included",
      [](auto& s) -> auto& { return s.linear.outliers.simplified; }));
  keys.push_back(word_key<OutlierRanking>(
      "outliers.ranking",
      "spqr: an error counts alike in all rows, or by the energy of its row's gradients",
      {{"plain", OutlierRanking::kPlain}, {"row-energy", OutlierRanking::kRowEnergy}},
      [](auto& s) -> auto& { return s.linear.outliers.ranking; }));
}

void add_target_keys(std::vector<RecipeKey>& keys) {
  constexpr Range kShare{0, 2};
  keys.push_back(number_key(
      "target.alpha", "share of the input drift compensated in the sweep (GPTAQ)", kShare,
      [](auto& s) -> auto& { return s.linear.target.alpha; }));
  keys.push_back(number_key(
      "target.alpha2", "share of the residual fed back against the original weights (ResComp)",
      kShare, [](auto& s) -> auto& { return s.linear.target.alpha2; }));
  keys.push_back(number_key(
      "target.preshift", "share of the input drift moved into the weights before the sweep (QEP)",
      kShare, [](auto& s) -> auto& { return s.linear.target.preshift; }));
  keys.push_back(boolean_key(
      "target.auto",
      "per linear plain, preshift 0.25, 0.5, 1, alpha 0.25, 1 or alpha = alpha2 = 0.25, by the "
      "error on a tenth of the windows, which no solve sees",
      [](auto& s) -> auto& { return s.linear.target.automatic; }));
  keys.push_back(word_key<TargetParity>(
      "target.parity",
      "of alpha and alpha2 beyond a block: ours, or as published, on rounded (org) or clamped "
      "(allw) weights",
      {{"none", TargetParity::kNone}, {"org", TargetParity::kOrg}, {"allw", TargetParity::kAllw}},
      [](auto& s) -> auto& { return s.linear.target.parity; }));
  keys.push_back(word_key<TargetFit>(
      "target.fit",
      "what static scales are fitted to: the original weights, or those as alpha will have moved "
      "them",
      {{"original", TargetFit::kOriginal}, {"expected", TargetFit::kExpected}},
      [](auto& s) -> auto& { return s.linear.target.fit; }));
}

void add_transform_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<RotationKind, ModelRecipe>(
      "transform.rotation", "rotate weights and activations first, for the whole model",
      {{"none", RotationKind::kNone}, {"quarot", RotationKind::kQuaRot}},
      [](auto& s) -> auto& { return s.transform.rotation; }));
  keys.push_back(boolean_key<ModelRecipe>(
      "transform.online",
      "rotate the inputs of down projections as the model runs; native, or folded back into dense",
      [](auto& s) -> auto& { return s.transform.online; }));
}

void add_order_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<OrderKind>(
      "order.kind", "order in which columns are rounded; activation = largest diagonal first",
      {{"natural", OrderKind::kNatural}, {"activation", OrderKind::kActivation}},
      [](auto& s) -> auto& { return s.linear.order.kind; }));
  keys.push_back(boolean_key(
      "order.static_groups", "scales fitted before the sweep, not when it gets there",
      [](auto& s) -> auto& { return s.linear.order.static_groups; }));
}

std::vector<RecipeKey> make_keys() {
  std::vector<RecipeKey> keys;
  add_objective_keys(keys);
  add_target_keys(keys);
  add_grid_keys(keys);
  add_outlier_keys(keys);
  add_order_keys(keys);
  add_transform_keys(keys);
  return keys;
}

template <class Settings>
void set_key(const RecipeKey& key, const KeyAccess<Settings>& access, Settings& settings,
             std::string_view text) {
  require(access.set(settings, text), "{}: expected {}, found {}", key.name, key.expected,
          text.empty() ? "nothing" : printable(text));
}

}  // namespace

const std::vector<RecipeKey>& recipe_keys() {
  static const std::vector<RecipeKey> keys = make_keys();
  return keys;
}

std::string_view table_of(std::string_view key) {
  return key.substr(0, key.find('.'));
}

std::string RecipeKey::print(const RecipeSettings& settings) const {
  if (const auto* of_model = std::get_if<KeyAccess<ModelRecipe>>(&access))
    return of_model->print(settings.model);
  return std::get<KeyAccess<LinearSettings>>(access).print(settings.common);
}

const RecipeKey& find_recipe_key(std::string_view name) {
  for (const RecipeKey& key : recipe_keys())
    if (key.name == name) return key;
  std::vector<std::string> known;
  for (const RecipeKey& key : recipe_keys()) known.push_back(key.name);
  fail("unknown key {}{}; known keys: {}", printable(name), did_you_mean(name, known),
       fmt::join(known, ", "));
}

void set_recipe_key(RecipeSettings& settings, std::string_view name, std::string_view text) {
  const RecipeKey& key = find_recipe_key(name);
  if (const auto* of_model = std::get_if<KeyAccess<ModelRecipe>>(&key.access))
    return set_key(key, *of_model, settings.model, text);
  set_linear_key(settings.common, name, text);
}

void set_linear_key(LinearSettings& settings, std::string_view name, std::string_view text) {
  const RecipeKey& key = find_recipe_key(name);
  const auto* of_linear = std::get_if<KeyAccess<LinearSettings>>(&key.access);
  require(of_linear != nullptr, "[[rule]]: {} holds for the whole model, not for single linears",
          key.name);
  set_key(key, *of_linear, settings, text);
  GridOptions& grid = settings.linear.grid;
  if (settings.automatic_clip_search)
    grid.clip_search = grid.in_super_blocks() || (grid.kind == GridKind::kUniform &&
                                                  grid.bits <= kMostBitsOfAutomaticClipSearch);
}

}  // namespace halftone
