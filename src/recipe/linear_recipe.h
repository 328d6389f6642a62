// What to do with one linear: plain numbers, one struct a part (docs/methods.md says what each
// does). Read from TOML by recipe/recipe.h; consumed by quantize/ and calibrate/. Includes nothing
// of the project.
#pragma once

#include <cstdint>

namespace halftone {

enum class ObjectiveKind { kNone, kInput };
enum class DampingReference { kMean, kMedian };
enum class GridKind { kUniform, kSplit };
enum class OutlierCodes { kUniform, kSignMagnitude };
enum class OutlierKind { kNone, kLasso };
enum class OrderKind { kNatural, kActivation };
enum class RotationKind { kNone, kQuaRot };

// Which matrix measures the error (METHODS 2).
struct ObjectiveOptions {
  ObjectiveKind kind = ObjectiveKind::kInput;
  double damping = 0.01;  // share of the mean (or median) diagonal, live columns only
  DampingReference damping_reference = DampingReference::kMean;

  bool operator==(const ObjectiveOptions&) const = default;
};

// What the sweep aims at (METHODS 3). All zero: the layer's output on its own, already quantized
// input.
struct TargetOptions {
  double alpha = 0;     // share of the input drift compensated column by column (GPTAQ)
  double alpha2 = 0;    // share of the residual against the original weights fed back (ResComp)
  double preshift = 0;  // share of the input drift moved into the weights beforehand (QEP)

  bool needs_original_stream() const { return alpha > 0 || preshift > 0; }
  bool operator==(const TargetOptions&) const = default;
};

// Which values a code can mean (METHODS 4).
struct GridOptions {
  GridKind kind = GridKind::kUniform;
  int bits = 4;              // 2 .. 8
  int64_t group_size = 128;  // consecutive input columns that share a scale; 0 = the whole row
  bool symmetric = false;
  bool clip_search = false;  // METHODS 4.1: shrink the range by 0 .. 79 %, keep the least error
  double clip_norm = 2.4;    // exponent of that error
  int zero_min = 0;          // least zero point of an asymmetric grid (gptq v1 files: 1)
  int scale_bits = -1;  // significant bits of a scale; -1 = by METHODS 4.6, 0 = unrounded float32
  OutlierCodes outlier_codes = OutlierCodes::kUniform;  // of a split grid

  bool operator==(const GridOptions&) const = default;
};

// Which weights stay out of the grid, or have one of their own (METHODS 5).
struct OutlierOptions {
  OutlierKind kind = OutlierKind::kNone;
  double share = 0.05;  // of a linear's weights, by magnitude (lasso)

  bool operator==(const OutlierOptions&) const = default;
};

// In which order columns are rounded (METHODS 6).
struct OrderOptions {
  OrderKind kind = OrderKind::kNatural;
  bool static_groups = true;  // scales fitted to the original weights, before the sweep

  bool operator==(const OrderOptions&) const = default;
};

// Function-preserving rewrites of the whole model (METHODS 8); the same for every linear.
struct TransformOptions {
  RotationKind rotation = RotationKind::kNone;

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
