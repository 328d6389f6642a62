// The parts of a quantization run that are not its story: what is opened and checked before, and
// how a stage's linears share their solvers.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "calibrate/calibration.h"
#include "pipeline/opened_model.h"
#include "pipeline/output.h"
#include "pipeline/quantize_model.h"
#include "pipeline/source_check.h"
#include "quantize/linear_solver.h"

namespace halftone {

class QuantizeJob {
 public:
  // Errors: everything about the request that can be known before work starts.
  explicit QuantizeJob(const QuantizeRequest& request);

  const QuantizeRequest& request() const { return request_; }
  const RunRecipe& recipe() const { return recipe_; }
  const Model& model() const { return transformed_ ? *transformed_ : opened_.model; }
  const Execution& execution() const { return execution_; }
  bool calibrated() const { return windows_.has_value(); }
  at::Tensor calibration_ids() const;  // (sequences, length) int32
  OutputPlan output_plan() const;
  std::vector<std::string> notes() const { return output_notes(opened_); }  // for the report

  int64_t linear_count() const { return static_cast<int64_t>(model().linears().size()); }
  CalibrationOptions calibration_options() const;
  at::Tensor weight(const LinearSlot& linear) const;       // (out, in), as stored or transformed
  at::Tensor other_tensor(const std::string& name) const;  // in the model's own dtype
  // What decides the result, as it opens the report: version, model, recipe, calibration
  // (null without), least scale, number type, products, device, threads, seed. Two runs of the same
  // identity give the same bytes on one machine, as far as a sample of the weights tells models
  // apart.
  nlohmann::json identity() const;

 private:
  void check_recipe() const;
  void fit_scales_to_format();              // to the type that the output's format stores
  nlohmann::json calibration_json() const;  // corpus, sampling rule and hashes
  int64_t held_out_sequences() const;       // for target.auto

  QuantizeRequest request_;
  OpenedModel opened_;
  RunRecipe recipe_;  // what the request's recipe comes to for each linear
  Execution execution_;
  std::shared_ptr<const WeightSource> weights_;  // of the source, or transformed
  std::optional<Model> transformed_;
  std::optional<Corpus> corpus_;
  std::optional<TokenWindows> windows_;
  bool float16_scales_ = false;
};

// Solvers of one stage: linears with the same Hessian (X^T X of the stage's input; output Hessians
// are each linear's own), objective, target and order share one factorization, whatever their bits.
class StageSolvers {
 public:
  StageSolvers(const StageStatistics& statistics, int threads)
      : statistics_(statistics), threads_(threads) {}
  // Errors carry the linear's name.
  LinearOutcome quantize(const LinearSlot& linear, const LinearRecipe& recipe,
                         const at::Tensor& weight);

 private:
  std::shared_ptr<const SharedInputs> inputs_of(const std::string& linear,
                                                const InputOptions& options);

  const StageStatistics& statistics_;
  int threads_;
  std::vector<std::shared_ptr<const SharedInputs>> inputs_;
};

// Puts the quantized weight in place of the full-precision one, in the block's dtype.
void replace_weight(Block& block, const LinearSlot& linear, const QuantizedLinear& quantized);

}  // namespace halftone
