// What a recipe says of the whole model, so that no [[rule]] can set it for single linears.
// Includes nothing of the project.
#pragma once

namespace halftone {

enum class LabelKind { kTruth, kSampled };
enum class ScheduleKind { kOneShot, kBlockWise };
enum class RotationKind { kNone, kQuaRot };

// Function-preserving rewrites of the whole model (methods.md 8).
struct TransformOptions {
  RotationKind rotation = RotationKind::kNone;
  // Linears behind an element-wise product, whose inputs no rotation of weights reaches, read them
  // rotated as the model runs (methods.md 8.2, step 5).
  bool online = false;

  bool operator==(const TransformOptions&) const = default;
};

struct ModelRecipe {
  double first_token = 1;  // what each sequence's first token counts in the input Hessian and its
                           // cross moment; the others count 1
  // What the mean Hessian of all experts of a layer counts beside an expert's own, in tokens for
  // each input column.
  double pool = 0.1;
  // Of the objectives that follow the loss at the end of the model:
  LabelKind labels = LabelKind::kTruth;            // what the loss is taken against
  ScheduleKind schedule = ScheduleKind::kOneShot;  // the full-precision model's gradients, or
                                                   // those behind the quantized prefix
  TransformOptions transform = {};

  bool operator==(const ModelRecipe&) const = default;
};

}  // namespace halftone
