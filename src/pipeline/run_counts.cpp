#include "pipeline/run_counts.h"

#include <map>

namespace halftone {

bool is_calibrated(const QuantizeJob& job) {
  return job.request().recipe.needs_calibration() && !job.request().imatrix;
}

bool has_gradients(const QuantizeJob& job) {
  return job.recipe().any(
      [](const LinearRecipe& linear) { return linear.objective.needs_gradients(); });
}

double streams(const QuantizeJob& job) {
  return job.calibration_options().two_streams ? 2 : 1;
}

double weights_of(std::span<const LinearSlot> linears) {
  double count = 0;
  for (const LinearSlot& linear : linears) count += number(linear.out * linear.in);
  return count;
}

double token_share(const Model& model, const LinearSlot& linear) {
  const Mixture& mixture = model.config().mixture;
  return linear.expert < 0 ? 1 : number(mixture.per_token) / number(mixture.experts);
}

std::vector<StageWidth> inputs_of_stage(const Model& model, int64_t block, int stage) {
  std::map<size_t, StageWidth> inputs;
  for (const LinearSlot& linear : model.linears_of_stage(block, stage))
    inputs[linear.input] = {linear.in, token_share(model, linear)};
  std::vector<StageWidth> found;
  for (const auto& [input, width] : inputs) found.push_back(width);
  return found;
}

}  // namespace halftone
