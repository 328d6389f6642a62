#include "recipe/grid_keys.h"

#include "recipe/key_makers.h"

namespace halftone {
namespace {

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

void add_scale_keys(std::vector<RecipeKey>& keys) {
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
      "grid.bits", "bits of a code", Range{1, 8},
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
      "grid.clip_norm", "exponent of the error in that search", Range{0.5, 8},
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
      kTrellisStateBits, [](auto& s) -> auto& { return s.linear.grid.state_bits; }));
  keys.push_back(word_key<OutlierCodes>(
      "grid.outlier_codes", "outliers of a split grid: as the bulk, or a sign and a magnitude",
      {{"uniform", OutlierCodes::kUniform}, {"sign_magnitude", OutlierCodes::kSignMagnitude}},
      [](auto& s) -> auto& { return s.linear.grid.outlier_codes; }));
}

void add_bilevel_keys(std::vector<RecipeKey>& keys) {
  constexpr Range kCodeBits{2, 8};
  keys.push_back(integer_key(
      "grid.qq_groupsize", "bilevel: output rows that share a second-level grid", "2, 4, 8 or 16",
      [](int64_t v) { return v == 2 || v == 4 || v == 8 || v == 16; },
      [](auto& s) -> auto& { return s.linear.grid.qq_groupsize; }));
  keys.push_back(integer_key(
      "grid.qq_scale_bits", "bilevel: bits of a scale's code", kCodeBits,
      [](auto& s) -> auto& { return s.linear.grid.qq_scale_bits; }));
  keys.push_back(integer_key(
      "grid.qq_zero_bits", "bilevel: bits of a zero's code", kCodeBits,
      [](auto& s) -> auto& { return s.linear.grid.qq_zero_bits; }));
  keys.push_back(boolean_key(
      "grid.round_zero",
      "bilevel: integer zeros; with qq_zero_bits >= bits they are not coded again",
      [](auto& s) -> auto& { return s.linear.grid.round_zero; }));
}

}  // namespace

void add_grid_keys(std::vector<RecipeKey>& keys) {
  add_scale_keys(keys);
  add_bilevel_keys(keys);
}

}  // namespace halftone
