// What a quantization run works on: everything that is opened and checked before its work starts.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/calibration.h"
#include "pipeline/calibration_texts.h"
#include "pipeline/importances.h"
#include "pipeline/matrix_types.h"
#include "pipeline/model_images.h"
#include "pipeline/opened_model.h"
#include "pipeline/output.h"
#include "pipeline/quantize_request.h"
#include "report/run_report.h"

namespace halftone {

// How far a model and a text are looked into. For a plan headers are enough: of a model without
// weights its config, and no text.
enum class Look { kHeaders, kNumbers };

class QuantizeJob {
 public:
  // Errors: everything about the request that can be known before work starts; of headers alone
  // what they show.
  explicit QuantizeJob(const QuantizeRequest& request, Look look = Look::kNumbers);

  const QuantizeRequest& request() const { return request_; }
  const RunRecipe& recipe() const { return recipe_; }
  const OpenedModel& source() const { return opened_; }
  const Model& model() const { return transformed_ ? *transformed_ : opened_.model; }
  const Execution& execution() const { return execution_; }
  bool calibrated() const { return (texts_ && texts_->windows()) || drawn_ > 0; }
  ModelInputs calibration_inputs() const;  // none: not calibrated
  // Of a model of text, where the run reads any.
  const CalibrationTexts* texts() const { return texts_ ? &*texts_ : nullptr; }
  // Of a model of images, those that --calibration names; and at most so many of them that the
  // calibration does not take.
  const ModelImages* images() const { return images_ ? &*images_ : nullptr; }
  std::span<const int64_t> images_apart(size_t count) const;
  OutputPlan output_plan() const;
  const MatrixTypes& matrices() const { return matrix_types_; }
  const std::optional<Importances>& importances() const { return importances_; }
  std::vector<std::string> notes() const;  // for the report

  int64_t linear_count() const { return static_cast<int64_t>(model().linears().size()); }
  CalibrationOptions calibration_options() const;
  at::Tensor weight(const LinearSlot& linear) const;       // (out, in), as stored or transformed
  at::Tensor other_tensor(const std::string& name) const;  // in the model's own dtype
  // What decides the result (pipeline/run_identity.h); found out once, when it is first asked for.
  const RunIdentity& identity() const;

 private:
  void read_texts();       // and draw windows of them
  void choose_types();     // of --type and --mix
  void describe_file();    // that is to be written, where it is a GGUF file
  void choose_matrices();  // what becomes of those outside the blocks
  void read_importances();
  void open_images(bool calibrated);
  void check_recipe() const;
  void fit_scales_to_format();         // to the type that the output's format stores
  int64_t held_out_sequences() const;  // for target.auto

  QuantizeRequest request_;
  OpenedModel opened_;
  RunRecipe recipe_;  // what the request's recipe comes to for each linear
  Execution execution_;
  std::shared_ptr<const WeightSource> weights_;  // of the source, or transformed
  std::optional<Model> transformed_;
  std::optional<GgufHead> gguf_;  // of an output that is a GGUF file
  std::optional<Mix> mix_;
  MatrixTypes matrix_types_;
  std::string type_note_;  // where some linears cannot have the type that was asked for
  std::string text_note_;  // where the program's own text holds fewer windows than asked for
  std::optional<Importances> importances_;
  std::optional<CalibrationTexts> texts_;
  std::optional<ModelImages> images_;
  std::vector<int64_t> image_order_;  // the calibration's first, drawn_ of them
  size_t drawn_ = 0;
  bool float16_scales_ = false;
  mutable std::optional<RunIdentity> identity_;
};

}  // namespace halftone
