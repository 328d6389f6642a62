// --imatrix: what columns count, from a file in place of calibration data.
#pragma once

#include <filesystem>
#include <string>

#include "calibrate/linear_statistics.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/imatrix_file.h"
#include "model/model.h"
#include "recipe/recipe.h"

namespace halftone {

// The recipe with linears that are weighed by importances alone: these compensate nothing, and are
// of inputs as they are, not rotated.
Recipe weighed_by_imatrix(Recipe recipe);

class Importances {
 public:
  // Errors, which name the file: what ImatrixFile refuses; a linear of the model that it says
  // nothing of, or has another width for; a family without GGUF files.
  Importances(const std::filesystem::path& path, const Model& model);

  // weight: "model.layers.0.self_attn.q_proj.weight"
  bool contains(const std::string& weight) const { return file_.contains(name_of(weight)); }
  // Its Hessian is diagonal.
  LinearStatistics statistics(const std::string& weight, int64_t in) const;
  const std::string& sha256() const { return file_.sha256(); }

 private:
  std::string name_of(const std::string& weight) const;

  const GgufArchitecture& architecture_;
  ImatrixFile file_;
};

}  // namespace halftone
