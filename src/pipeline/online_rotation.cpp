#include "pipeline/online_rotation.h"

#include <ATen/ATen.h>

#include <set>

namespace halftone {

void plan_online_rotation(const Model& model, OutputPlan& plan) {
  std::set<std::string> rotated;
  for (const LinearSlot& slot : model.linears())
    if (slot.reads_rotated) rotated.insert(slot.name);
  for (LinearPlan& linear : plan.linears) linear.reads_rotated = rotated.contains(linear.name);
  if (model.online() == nullptr) return;
  plan.online = {online_rotation_json(*model.config().online_seed),
                 [back = model.online()->transposed()](const at::Tensor& weight) {
                   return multiply(weight.to(at::kDouble), back).to(at::kFloat);
                 }};
}

}  // namespace halftone
