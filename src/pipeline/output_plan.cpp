#include "pipeline/output_plan.h"

#include "format/gguf_output.h"
#include "format/stored_size.h"
#include "pipeline/source_check.h"

namespace halftone {
namespace {

constexpr double kDiskMargin = 1.02;

// A weight's name without ".weight".
std::string module_of(std::string_view weight) {
  return std::string(weight.substr(0, weight.rfind('.')));
}

// The model's type as it is written, and a config that does not say float64.
void plan_types(const OpenedModel& source, OutputPlan& plan) {
  plan.dtype = written_type(source.model.dtype());
  if (plan.dtype != at::kFloat) return;
  for (const char* key : {"torch_dtype", "dtype"})
    if (plan.config.value(key, nlohmann::json()) == "float64") plan.config[key] = "float32";
}

}  // namespace

OutputPlan plan_output(const OpenedModel& source, nlohmann::json config) {
  OutputPlan plan;
  plan.source = &source.weights->source();
  plan.config = std::move(config);
  plan_types(source, plan);
  plan.head = module_of(source.model.family().head);
  plan.embedding = module_of(source.model.family().embedding);
  return plan;
}

void plan_others(const WeightSource& weights, const std::vector<std::string>& names,
                 OutputPlan& plan) {
  for (const std::string& name : names)
    plan.others.push_back({.name = name,
                           .shape = weights.info(name).shape,
                           .dtype = written_type(weights.info(name).dtype)});
}

double stored_bytes(std::string_view format, const OutputPlan& plan, const PlannedTensor& tensor) {
  if (tensor.grid)
    return static_cast<double>(*stored_linear_bytes(format, plan.dtype, plan.on_grid(tensor)));
  const auto count = static_cast<double>(c10::multiply_integers(tensor.shape));
  return count * (plan.gguf ? gguf_type_of(plan, tensor).bits_per_weight() / 8
                            : static_cast<double>(c10::elementSize(tensor.dtype)));
}

double code_bytes(std::span<const LinearPlan> linears) {
  double bits = 0;
  for (const LinearPlan& linear : linears) {
    // of points a .gguf file holds fewer than four bits a weight, which native takes
    const bool points = linear.grid.kind == GridKind::kVector;
    bits += static_cast<double>(linear.out * linear.in) *
            (points ? codebook_shape(linear.grid.codebook).bits : linear.grid.bits);
  }
  return bits / 8;
}

size_t bytes_on_disk(double bytes) {
  return static_cast<size_t>(bytes * kDiskMargin);
}

}  // namespace halftone
