// What to do with one linear: plain numbers, one struct a part (docs/methods.md says what each
// does). Words are those of the recipe's keys (recipe/keys.cpp). Read from TOML by recipe/recipe.h;
// consumed by calibrate/, quantize/ and format/. What holds for the whole model is in
// recipe/model_recipe.h. Includes nothing of the project.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace halftone {

// What a number may be, both ends included.
struct Range {
  double least, most;
  constexpr bool holds(double value) const { return value >= least && value <= most; }
};

enum class ObjectiveKind { kNone, kInput, kOac, kGuided, kDiagonal, kImatrix };
enum class DampingReference { kMean, kMedian };
enum class TargetParity { kNone, kOrg, kAllw };
enum class TargetFit { kOriginal, kExpected };
enum class GridKind { kUniform, kBilevel, kSplit, kBinary, kSuperBlock, kVector, kTrellis };
enum class Levels { kEven, kIq4Xs, kIq4Nl, kTq1, kTq2, kQ1, kMxfp4, kNvfp4 };
enum class Codebook { kIq2Xxs, kIq2Xs, kIq2S, kIq3Xxs, kIq3S };
enum class TrellisCode { k3Inst, k1Mad, kMcg };
enum class OutlierCodes { kUniform, kSignMagnitude };
enum class ClipWeights { kNone, kFactor };
enum class BinaryMode { kColumns, kJoint, kParity };
enum class OutlierKind { kNone, kSpqr, kLasso };
enum class OutlierRanking { kPlain, kRowEnergy };
enum class OrderKind { kNatural, kActivation };

// Rows that a grid is fitted to together; what rows share (grid.qq_groupsize) divides it.
constexpr int64_t kRowsAtOnce = 16;

// Columns of a super-block, whose groups have whole multiples of one scale (methods.md 4.3), and
// what its groups are at each width of a code: those of Q2_K .. Q6_K.
constexpr int64_t kSuperBlock = 256;
struct SuperBlockShape {
  int64_t group_size = 0;         // 0: there is no such width
  bool symmetric = false;         // no offsets
  int scale_bits = 0;             // of a code of a scale, and of an offset; 0: it is always 1
  int64_t columns = kSuperBlock;  // of all groups together
};

// Levels that codes stand for in place of whole numbers: those of GGUF's types, IQ4_XS in
// super-blocks and all others in blocks of one group.
struct LevelsShape {
  std::string_view type, word;  // of GGUF, of recipes and files
  int bits = 0;                 // of a code
  double packed_bits = 0;       // the same inside a block of GGUF
  int step_bits = 16;           // of a block's scale there
  SuperBlockShape blocks = {};
};
constexpr Levels kUnevenLevels[] = {Levels::kIq4Xs, Levels::kIq4Nl, Levels::kTq1,  Levels::kTq2,
                                    Levels::kQ1,    Levels::kMxfp4, Levels::kNvfp4};
constexpr LevelsShape levels_shape(Levels levels) {
  switch (levels) {
    case Levels::kEven:
      return {"", "even"};
    case Levels::kIq4Xs:
      return {"IQ4_XS", "iq4_xs", 4, 4, 16, {32, true, 6}};
    case Levels::kIq4Nl:
      return {"IQ4_NL", "iq4_nl", 4, 4, 16, {32, true, 0, 32}};
    case Levels::kTq1:
      return {"TQ1_0", "tq1_0", 2, 1.625, 16, {256, true, 0, 256}};
    case Levels::kTq2:
      return {"TQ2_0", "tq2_0", 2, 2, 16, {256, true, 0, 256}};
    case Levels::kQ1:
      return {"Q1_0", "q1_0", 1, 1, 16, {128, true, 0, 128}};
    case Levels::kMxfp4:
      return {"MXFP4", "mxfp4", 4, 4, 8, {32, true, 0, 32}};
    case Levels::kNvfp4:
      return {"NVFP4", "nvfp4", 4, 4, 8, {16, true, 0, 16}};
  }
  return {};
}

constexpr SuperBlockShape super_block_shape(int bits, Levels levels = Levels::kEven) {
  if (levels != Levels::kEven) {
    const LevelsShape shape = levels_shape(levels);
    return bits == shape.bits ? shape.blocks : SuperBlockShape{};
  }
  switch (bits) {
    case 2:
      return {16, false, 4};
    case 3:
      return {16, true, 6};
    case 4:
    case 5:
      return {32, false, 6};
    case 6:
      return {16, true, 8};
    default:
      return {};
  }
}

// The codebooks of vector grids (methods.md 4.7), also in super-blocks: those of GGUF's types.
constexpr Codebook kCodebooks[] = {Codebook::kIq2Xxs, Codebook::kIq2Xs, Codebook::kIq2S,
                                   Codebook::kIq3Xxs, Codebook::kIq3S};
constexpr int kVectorCodeBits = 4;  // of a stored code: a magnitude and a sign
struct CodebookShape {
  std::string_view type, word;  // of GGUF, of a recipe
  int bits = 0;                 // a weight, rounded: what the grid is for
  int64_t group_size = 0;
};
constexpr CodebookShape codebook_shape(Codebook codebook) {
  switch (codebook) {
    case Codebook::kIq2Xxs:
      return {"IQ2_XXS", "iq2_xxs", 2, 32};
    case Codebook::kIq2Xs:
      return {"IQ2_XS", "iq2_xs", 2, 16};
    case Codebook::kIq2S:
      return {"IQ2_S", "iq2_s", 2, 16};
    case Codebook::kIq3Xxs:
      return {"IQ3_XXS", "iq3_xxs", 3, 32};
    case Codebook::kIq3S:
      return {"IQ3_S", "iq3_s", 3, 32};
  }
  return {};
}

// The codes of trellis grids (methods.md 4.8), and the words that recipes and files have for them.
constexpr TrellisCode kTrellisCodes[] = {TrellisCode::k3Inst, TrellisCode::k1Mad,
                                         TrellisCode::kMcg};
constexpr std::string_view word_of(TrellisCode code) {
  switch (code) {
    case TrellisCode::k3Inst:
      return "3inst";
    case TrellisCode::k1Mad:
      return "1mad";
    case TrellisCode::kMcg:
      return "mcg";
  }
  return {};
}
constexpr Range kTrellisBits{1, 4}, kTrellisStateBits{8, 16};
constexpr int64_t kTrellisSide = 16;  // a tile is so many rows of as many columns

// Rows of a linear in `groups` runs, as even as can be: run g is [first(g), first(g + 1)).
// 1 <= groups <= out
inline int64_t first_row_of_group(int64_t out, int64_t groups, int64_t group) {
  return group * out / groups;
}

// Which matrix measures the error (methods.md 2).
struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::kInput;
  double damping = 0.01;  // share of the mean (or median) diagonal, live columns only
  DampingReference damping_reference = DampingReference::kMean;
  // Of the objectives that follow the loss at the end of the model (recipe/model_recipe.h says
  // which loss, and when it is differentiated): share of the input Hessian mixed in, both of one
  // mean diagonal.
  double blend = 0;

  // oac: least ratio of held-out scores, Fisher matrix to input Hessian, below which a linear falls
  // back to the latter; 0 = no test.
  double gate = 0;

  // guided: runs of consecutive rows, each with token weights and a Hessian of its own (k of
  // GuidedQuant); at most one a row.
  int64_t row_groups = 1;

  // Whether anything is learned from calibration sequences.
  bool needs_sequences() const {
    return kind != ObjectiveKind::kNone && kind != ObjectiveKind::kImatrix;
  }
  // Whether X^T X is summed.
  bool needs_input_hessian() const {
    return kind == ObjectiveKind::kInput || (needs_gradients() && blend > 0) ||
           (kind == ObjectiveKind::kOac && gate > 0);
  }
  // Whether the end loss is differentiated.
  bool needs_gradients() const {
    return kind == ObjectiveKind::kOac || kind == ObjectiveKind::kGuided ||
           kind == ObjectiveKind::kDiagonal;
  }
  // Errors are weighed and not compensated: the matrix is a diagonal one.
  bool is_diagonal() const {
    return kind == ObjectiveKind::kDiagonal || kind == ObjectiveKind::kImatrix;
  }
  bool operator==(const ObjectiveOptions&) const = default;
};

// What the sweep approximates (methods.md 3). All zero: the layer's output on its own, already
// quantized input.
struct TargetOptions {
  double alpha = 0;     // share of the input drift compensated column by column (GPTAQ)
  double alpha2 = 0;    // share of the residual against the original weights fed back (ResComp)
  double preshift = 0;  // share of the input drift moved into the weights beforehand (QEP)
  // One of the above for each linear, by its error on calibration windows held out; then all are 0.
  bool automatic = false;
  // What the columns beyond a lazy block take for a weight: the clean form, or the published code's
  // (quantize/sweep.h).
  TargetParity parity = TargetParity::kNone;
  // What static groups are fitted to: the original weights, or those as alpha will have moved them.
  TargetFit fit = TargetFit::kOriginal;

  bool fits_expected() const { return alpha > 0 && fit == TargetFit::kExpected; }
  bool needs_original_stream() const { return alpha > 0 || preshift > 0 || automatic; }
  bool needs_drift_matrix() const { return alpha > 0 || alpha2 > 0 || automatic; }
  bool operator==(const TargetOptions&) const = default;
};

// Which values a code can mean (methods.md 4).
struct GridOptions {
  GridKind kind = GridKind::kUniform;
  int bits = 4;              // 2 .. 8; binary: 1; trellis: 1 .. 4
  int64_t group_size = 128;  // consecutive input columns that share a scale; 0 = the whole row
  bool symmetric = false;
  bool clip_search = false;  // methods.md 4.1: shrink the range by 0 .. 79 %, keep the least error
  double clip_norm = 2.4;    // exponent of that error
  // What a column's part in that error counts: 1, or 1 / c_j^2 (methods.md 5.1), as the sweep
  // counts its rounding
  ClipWeights clip_weights = ClipWeights::kNone;
  // symmetric: a group's scale may be negative, so that the side with one more code is either
  bool signed_scale = false;
  int zero_min = 0;     // least zero point of an asymmetric grid (gptq v1 files: 1)
  int scale_bits = -1;  // significant bits of a scale; -1: by methods.md 4.6; 0: all of float32
  bool float16_scales = false;  // no key: the output format's; else scales have float32's range
  // bilevel: scales and zeros are on grids of their own (methods.md 4.2)
  int64_t qq_groupsize = 16;      // consecutive rows that share such a grid: 2, 4, 8 or 16
  int qq_scale_bits = 3;          // bits of a scale's code
  int qq_zero_bits = 3;           // bits of a zero's code
  bool round_zero = false;        // zeros are integers; with qq_zero_bits >= bits stored as such
  Levels levels = Levels::kEven;  // superblock: what codes stand for
  Codebook codebook = Codebook::kIq2Xxs;   // of a vector grid
  TrellisCode code = TrellisCode::k3Inst;  // of a trellis grid: what its states stand for
  int state_bits = 12;                     // of a trellis grid: it has 2^state_bits states
  BinaryMode mode = BinaryMode::kColumns;  // of a binary grid (quantize/grid/binary.h)
  // split: the outliers of a group have a scale of their own (methods.md 4.5)
  OutlierCodes outlier_codes = OutlierCodes::kUniform;

  // Columns of a group in a row of `in`: larger groups are cut to the row.
  int64_t columns_per_group(int64_t in) const {
    return group_size == 0 ? in : std::min(group_size, in);
  }
  // Bits of a stored code: of a binary grid two, a second sign or whether it is in the tail.
  int code_bits() const {
    if (kind == GridKind::kVector) return kVectorCodeBits;
    return kind == GridKind::kBinary ? 2 : bits;
  }
  // Groups have numbers that are multiples of those of a super-block.
  bool in_super_blocks() const {
    return kind == GridKind::kSuperBlock || kind == GridKind::kVector;
  }
  // The linear is rotated on both sides before it is rounded, and back when it is used.
  bool rotates_linear() const { return kind == GridKind::kTrellis; }
  SuperBlockShape super_block() const { return super_block_shape(bits, levels); }
  // Zeros are codes of `bits` bits; else fractions, on a second level.
  bool has_integer_zeros() const {
    return kind != GridKind::kBilevel || symmetric || (round_zero && qq_zero_bits >= bits);
  }
  // scale_bits with -1 resolved (methods.md 4.6): 7 where a 4-bit zero times the scale must be
  // exact in float16, else 8; grids whose numbers are float16 have its 11. 0: unrounded float32.
  int significant_scale_bits() const {
    if (scale_bits >= 0) return scale_bits;
    if (kind == GridKind::kBilevel || kind == GridKind::kBinary || kind == GridKind::kTrellis ||
        in_super_blocks())
      return 11;
    return !symmetric && bits == 4 ? 7 : 8;
  }
  // The published code of BiLLM: an error reaches only the columns beyond its block.
  bool is_binary_parity() const { return kind == GridKind::kBinary && mode == BinaryMode::kParity; }

  bool operator==(const GridOptions&) const = default;
};

// Which weights stay outside the grid, or have scales of their own on a split one (methods.md 5).
struct OutlierOptions {
  OutlierKind kind = OutlierKind::kNone;
  double tau = 0.2;         // spqr: threshold, times the mean sensitivity of a weight
  double rate = 0;          // share of a linear's weights; spqr: 0 = by tau
  bool simplified = false;  // spqr: scales are fitted to all weights, outliers included
  // spqr: an error counts alike in all rows, or by the energy of its row's gradients
  // (methods.md 5.2)
  OutlierRanking ranking = OutlierRanking::kPlain;

  bool operator==(const OutlierOptions&) const = default;
};

// In which order columns are rounded (methods.md 6).
struct OrderOptions {
  OrderKind kind = OrderKind::kNatural;
  bool static_groups = true;  // scales fitted before the sweep, to runs of the file's columns

  // Groups follow the order of quantization, so that a file needs a group for every column.
  bool groups_follow_order() const { return kind == OrderKind::kActivation && !static_groups; }
  bool operator==(const OrderOptions&) const = default;
};

struct LinearRecipe {
  ObjectiveOptions objective;
  TargetOptions target;
  GridOptions grid;
  OutlierOptions outliers;
  OrderOptions order;

  // Outliers are stored beside the grid, each with its own value; a split grid has codes for them.
  bool keeps_outliers_beside_grid() const {
    return outliers.kind != OutlierKind::kNone && grid.kind != GridKind::kSplit;
  }
  bool operator==(const LinearRecipe&) const = default;
};

}  // namespace halftone
