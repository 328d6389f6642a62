// What to do with one linear: plain numbers, one struct a part (docs/methods.md says what each
// does). Read from TOML by recipe/recipe.h; consumed by quantize/ and calibrate/. Includes nothing
// of the project.
#pragma once

#include <cstdint>

namespace halftone {

enum class ObjectiveKind { kNone, kInput, kOutput, kTokenWeighted, kDiagonal };
enum class LabelKind { kTruth, kSampled };
enum class ScheduleKind { kOneShot, kBlockWise };
enum class DampingReference { kMean, kMedian };
enum class TargetParity { kNone, kRounded, kClamped };
enum class TargetFit { kOriginal, kExpected };
enum class GridKind { kUniform, kBilevel, kSplit, kBinary };
enum class OutlierCodes { kUniform, kSignMagnitude };
enum class BinaryMode { kColumns, kJoint, kParity };
enum class OutlierKind { kNone, kSensitivity, kLasso };
enum class OutlierRanking { kPlain, kRowEnergy };
enum class OrderKind { kNatural, kActivation };
enum class RotationKind { kNone, kQuaRot };

// Which matrix measures the error (METHODS 2).
struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::kInput;
  double damping = 0.01;  // share of the mean (or median) diagonal, live columns only
  DampingReference damping_reference = DampingReference::kMean;
  double first_token = 1;  // what each sequence's first token counts in the input Hessian and its
                           // cross moment; the others count 1
  // Of the objectives that follow the loss at the end of the model:
  LabelKind labels = LabelKind::kTruth;            // what the loss is taken against
  ScheduleKind schedule = ScheduleKind::kOneShot;  // the full-precision model's gradients, or
                                                   // those behind the quantized prefix
  double blend = 0;  // share of the input Hessian mixed in, both of one mean diagonal

  // oac: least ratio of held-out scores, Fisher matrix to input Hessian, below which a linear falls
  // back to the latter; 0 = no test.
  double gate = 0;

  // guided: runs of consecutive rows, each with token weights and a Hessian of its own (k of
  // GuidedQuant); at most one a row.
  int64_t row_groups = 1;

  // Whether X^T X is summed.
  bool needs_input_hessian() const {
    return kind == ObjectiveKind::kInput || (needs_gradients() && blend > 0) ||
           (kind == ObjectiveKind::kOutput && gate > 0);
  }
  // Whether the end loss is differentiated.
  bool needs_gradients() const {
    return kind == ObjectiveKind::kOutput || kind == ObjectiveKind::kTokenWeighted ||
           kind == ObjectiveKind::kDiagonal;
  }
  bool operator==(const ObjectiveOptions&) const = default;
};

// What the sweep aims at (METHODS 3). All zero: the layer's output on its own, already quantized
// input.
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

// Which values a code can mean (METHODS 4).
struct GridOptions {
  GridKind kind = GridKind::kUniform;
  int bits = 4;              // 2 .. 8; binary: 1
  int64_t group_size = 128;  // consecutive input columns that share a scale; 0 = the whole row
  bool symmetric = false;
  bool clip_search = false;  // METHODS 4.1: shrink the range by 0 .. 79 %, keep the least error
  double clip_norm = 2.4;    // exponent of that error
  int zero_min = 0;          // least zero point of an asymmetric grid (gptq v1 files: 1)
  int scale_bits = -1;  // significant bits of a scale; -1 = by METHODS 4.6, 0 = unrounded float32
  bool float16_scales = false;  // no key: the output format's; else scales have float32's range
  // bilevel: scales and zeros are on grids of their own (METHODS 4.2)
  int64_t run_size = 16;    // consecutive rows that share such a grid: 2, 4, 8 or 16
  int scale_code_bits = 3;  // bits of a scale's code
  int zero_code_bits = 3;   // bits of a zero's code
  bool round_zero = false;  // zeros are integers; with zero_code_bits >= bits stored as such
  BinaryMode mode = BinaryMode::kColumns;  // of a binary grid (quantize/grid/binary.h)
  // split: the outliers of a group have a scale of their own (METHODS 4.5)
  OutlierCodes outlier_codes = OutlierCodes::kUniform;

  bool operator==(const GridOptions&) const = default;
};

// Which weights stay outside the grid, or have scales of their own on a split one (METHODS 5).
struct OutlierOptions {
  OutlierKind kind = OutlierKind::kNone;
  double threshold = 0.2;   // sensitivity: times the mean sensitivity of a weight (tau)
  double rate = 0;          // share of a linear's weights; sensitivity: 0 = by the threshold
  bool simplified = false;  // sensitivity: scales are fitted to all weights, outliers included
  // sensitivity: an error counts alike in all rows, or by the energy of its row's gradients
  // (METHODS 5.2)
  OutlierRanking ranking = OutlierRanking::kPlain;

  bool operator==(const OutlierOptions&) const = default;
};

// In which order columns are rounded (METHODS 6).
struct OrderOptions {
  OrderKind kind = OrderKind::kNatural;
  bool static_groups = true;  // scales fitted before the sweep, to runs of the file's columns

  bool operator==(const OrderOptions&) const = default;
};

// Function-preserving rewrites of the whole model (METHODS 8); the same for every linear.
struct TransformOptions {
  RotationKind rotation = RotationKind::kNone;
  // Linears behind an element-wise product, whose inputs no rotation of weights reaches, read them
  // rotated as the model runs (METHODS 8.2, step 5).
  bool online = false;

  bool operator==(const TransformOptions&) const = default;
};

struct LinearRecipe {
  ObjectiveOptions objective;
  TargetOptions target;
  GridOptions grid;
  OutlierOptions outliers;
  OrderOptions order;
  TransformOptions transform;

  bool operator==(const LinearRecipe&) const = default;
};

}  // namespace halftone
