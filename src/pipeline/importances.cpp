#include "pipeline/importances.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace halftone {

Recipe weighed_by_imatrix(Recipe recipe) {
  for (const char* setting :
       {"objective.kind=imatrix", "objective.blend=0", "objective.gate=0", "objective.row_groups=1",
        "target.alpha=0", "target.alpha2=0", "target.preshift=0", "target.auto=false",
        "target.parity=none", "target.fit=original", "outliers.ranking=plain",
        "transform.rotation=none", "transform.online=false"})
    apply_setting(recipe, setting);
  return recipe;
}

Importances::Importances(const std::filesystem::path& path, const Model& model)
    : architecture_(gguf_architecture_for(model.config().architecture)), file_(path) {
  for (const LinearSlot& linear : model.linears())
    (void)file_.mean_squares(name_of(linear.name + ".weight"), linear.in);
}

LinearStatistics Importances::statistics(const std::string& weight, int64_t in) const {
  LinearStatistics statistics;
  statistics.hessian = at::diag(file_.mean_squares(name_of(weight), in));
  statistics.tokens = 1;
  return statistics;
}

std::string Importances::name_of(const std::string& weight) const {
  const auto name = gguf_name(architecture_, weight);
  require(name.has_value(), "{}: architecture {} has no such tensor", weight, architecture_.name);
  return *name;
}

}  // namespace halftone
