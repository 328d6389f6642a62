#include "recipe/keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/closest.h"
#include "base/error.h"
#include "recipe/key_makers.h"

namespace halftone {
namespace {

constexpr int kMostBitsOfAutomaticClipSearch = 4;

RecipeKey clip_search_key() {
  return {"grid.clip_search",
          "shrink ranges to the least error; auto = uniform grids at 2, 3 and 4 bits, super-blocks",
          "true, false or \"auto\"", true,
          KeyAccess<LinearSettings>{[](LinearSettings& settings, std::string_view text) {
                                      if (text != "true" && text != "false" && text != "auto")
                                        return false;
                                      settings.automatic_clip_search = text == "auto";
                                      settings.linear.grid.clip_search = text == "true";
                                      return true;
                                    },
                                    [](const LinearSettings& settings) {
                                      if (settings.automatic_clip_search) return "\"auto\"";
                                      return settings.linear.grid.clip_search ? "true" : "false";
                                    }}};
}

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
      "objective.blend", "share of the input Hessian mixed into an end-loss objective",
      "a number in 0 .. 1", [](double v) { return v >= 0 && v <= 1; },
      [](auto& s) -> auto& { return s.linear.objective.blend; }));
  keys.push_back(number_key(
      "objective.gate", "oac: least held-out score against the input Hessian's; 0 = no test",
      "a number in 0 .. 100", [](double v) { return v >= 0 && v <= 100; },
      [](auto& s) -> auto& { return s.linear.objective.gate; }));
  keys.push_back(integer_key(
      "objective.row_groups", "guided: runs of rows with a Hessian of their own (k)",
      "an integer in 1 .. 1024", [](int64_t v) { return v >= 1 && v <= 1024; },
      [](auto& s) -> auto& { return s.linear.objective.row_groups; }));
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
      "a number in 0 .. 10", [](double v) { return v >= 0 && v <= 10; },
      [](auto& s) -> auto& { return s.linear.objective.damping; }));
  keys.push_back(word_key<DampingReference>(
      "objective.damping_reference", "what damping is a share of",
      {{"mean", DampingReference::kMean}, {"median", DampingReference::kMedian}},
      [](auto& s) -> auto& { return s.linear.objective.damping_reference; }));
  keys.push_back(number_key<ModelRecipe>(
      "objective.first_token",
      "what the first token of a sequence, to which all others attend, counts in X^T X; others 1",
      "a number in 0 .. 65536", [](double v) { return v >= 0 && v <= 65536; },
      [](auto& s) -> auto& { return s.first_token; }));
  keys.push_back(number_key<ModelRecipe>(
      "objective.pool",
      "experts: what the Hessian of all of a layer counts in each one's, in tokens a column",
      "a number in 0 .. 1024", [](double v) { return v >= 0 && v <= 1024; },
      [](auto& s) -> auto& { return s.pool; }));
  add_end_loss_keys(keys);
}

Words<Codebook> codebook_words() {
  Words<Codebook> words;
  for (const Codebook codebook : kCodebooks)
    words.emplace_back(codebook_shape(codebook).word, codebook);
  return words;
}

Words<Levels> levels_words() {
  Words<Levels> words = {{levels_shape(Levels::kEven).word, Levels::kEven}};
  for (const Levels levels : kUnevenLevels) words.emplace_back(levels_shape(levels).word, levels);
  return words;
}

Words<TrellisCode> code_words() {
  Words<TrellisCode> words;
  for (const TrellisCode code : kTrellisCodes) words.emplace_back(word_of(code), code);
  return words;
}

void add_grid_keys(std::vector<RecipeKey>& keys) {
  keys.push_back(word_key<GridKind>(
      "grid.kind",
      "which values a code can mean; bilevel = scales and zeros are coded as well, split = "
      "outliers have scales of their own, binary = signs, superblock = as GGUF's K-quants, vector "
      "= several weights at a time, as its IQ "
      "types",
      {{"uniform", GridKind::kUniform},
       {"bilevel", GridKind::kBilevel},
       {"split", GridKind::kSplit},
       {"binary", GridKind::kBinary},
       {"superblock", GridKind::kSuperBlock},
       {"vector", GridKind::kVector},
       {"trellis", GridKind::kTrellis}},
      [](auto& s) -> auto& { return s.linear.grid.kind; }));
  keys.push_back(integer_key(
      "grid.bits", "bits of a code", "an integer in 1 .. 8",
      [](int64_t v) { return v >= 1 && v <= 8; },
      [](auto& s) -> auto& { return s.linear.grid.bits; }));
  keys.push_back(integer_key(
      "grid.group_size", "input columns that share a scale; 0 = the whole row",
      "0 or an integer in 16 .. 1024", [](int64_t v) { return v == 0 || (v >= 16 && v <= 1024); },
      [](auto& s) -> auto& { return s.linear.grid.group_size; }));
  keys.push_back(boolean_key(
      "grid.symmetric", "values symmetric about 0, no zero point",
      [](auto& s) -> auto& { return s.linear.grid.symmetric; }));
  keys.push_back(clip_search_key());
  keys.push_back(number_key(
      "grid.clip_norm", "exponent of the error in that search", "a number in 0.5 .. 8",
      [](double v) { return v >= 0.5 && v <= 8; },
      [](auto& s) -> auto& { return s.linear.grid.clip_norm; }));
  keys.push_back(word_key<ClipWeights>(
      "grid.clip_weights",
      "what a column counts in that search: none = 1, factor = as in the sweep's own error",
      {{"none", ClipWeights::kNone}, {"factor", ClipWeights::kFactor}},
      [](auto& s) -> auto& { return s.linear.grid.clip_weights; }));
  keys.push_back(boolean_key(
      "grid.signed_scale",
      "symmetric: scales of either sign, so that the longer side may be the positive one",
      [](auto& s) -> auto& { return s.linear.grid.signed_scale; }));
  keys.push_back(integer_key(
      "grid.zero_min", "least zero point of an asymmetric grid (files of gptq v1: 1)", "0 or 1",
      [](int64_t v) { return v == 0 || v == 1; },
      [](auto& s) -> auto& { return s.linear.grid.zero_min; }));
  keys.push_back(integer_key(
      "grid.scale_bits", "significant bits of a scale; -1 = by grid, 0 = unrounded float32",
      "-1, 0 or an integer in 4 .. 11",
      [](int64_t v) { return v == -1 || v == 0 || (v >= 4 && v <= 11); },
      [](auto& s) -> auto& { return s.linear.grid.scale_bits; }));
  keys.push_back(word_key<BinaryMode>(
      "grid.mode", "binary: signs chosen column by column, a block jointly, or as published",
      {{"columns", BinaryMode::kColumns},
       {"joint", BinaryMode::kJoint},
       {"parity", BinaryMode::kParity}},
      [](auto& s) -> auto& { return s.linear.grid.mode; }));
  keys.push_back(word_key<Levels>(
      "grid.levels",
      "superblock: codes are whole numbers, or levels, and scales, of one of GGUF's types",
      levels_words(), [](auto& s) -> auto& { return s.linear.grid.levels; }));
  keys.push_back(word_key<Codebook>(
      "grid.codebook", "vector: which points eight or four weights may be", codebook_words(),
      [](auto& s) -> auto& { return s.linear.grid.codebook; }));
  keys.push_back(word_key<TrellisCode>(
      "grid.code", "trellis: what value a state stands for", code_words(),
      [](auto& s) -> auto& { return s.linear.grid.code; }));
  keys.push_back(integer_key(
      "grid.state_bits", "trellis: bits of a state; one more takes twice the time",
      "an integer in 8 .. 16", [](int64_t v) { return v >= 8 && v <= 16; },
      [](auto& s) -> auto& { return s.linear.grid.state_bits; }));
  keys.push_back(word_key<OutlierCodes>(
      "grid.outlier_codes", "outliers of a split grid: as the bulk, or a sign and a magnitude",
      {{"uniform", OutlierCodes::kUniform}, {"sign_magnitude", OutlierCodes::kSignMagnitude}},
      [](auto& s) -> auto& { return s.linear.grid.outlier_codes; }));
}

void add_bilevel_keys(std::vector<RecipeKey>& keys) {
  const auto code_bits = [](int64_t v) { return v >= 2 && v <= 8; };
  keys.push_back(integer_key(
      "grid.qq_groupsize", "bilevel: output rows that share a second-level grid", "2, 4, 8 or 16",
      [](int64_t v) { return v == 2 || v == 4 || v == 8 || v == 16; },
      [](auto& s) -> auto& { return s.linear.grid.qq_groupsize; }));
  keys.push_back(integer_key(
      "grid.qq_scale_bits", "bilevel: bits of a scale's code", "an integer in 2 .. 8", code_bits,
      [](auto& s) -> auto& { return s.linear.grid.qq_scale_bits; }));
  keys.push_back(integer_key(
      "grid.qq_zero_bits", "bilevel: bits of a zero's code", "an integer in 2 .. 8", code_bits,
      [](auto& s) -> auto& { return s.linear.grid.qq_zero_bits; }));
  keys.push_back(boolean_key(
      "grid.round_zero",
      "bilevel: integer zeros; with qq_zero_bits >= bits they are not coded again",
      [](auto& s) -> auto& { return s.linear.grid.round_zero; }));
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
      "a number in 0 .. 0.2", [](double v) { return v >= 0 && v <= 0.2; },
      [](auto& s) -> auto& { return s.linear.outliers.rate; }));
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
  const auto share = [](double v) { return v >= 0 && v <= 2; };
  keys.push_back(number_key(
      "target.alpha", "share of the input drift compensated in the sweep (GPTAQ)",
      "a number in 0 .. 2", share, [](auto& s) -> auto& { return s.linear.target.alpha; }));
  keys.push_back(number_key(
      "target.alpha2", "share of the residual fed back against the original weights (ResComp)",
      "a number in 0 .. 2", share, [](auto& s) -> auto& { return s.linear.target.alpha2; }));
  keys.push_back(number_key(
      "target.preshift", "share of the input drift moved into the weights before the sweep (QEP)",
      "a number in 0 .. 2", share, [](auto& s) -> auto& { return s.linear.target.preshift; }));
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
  add_bilevel_keys(keys);
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
