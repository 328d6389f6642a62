// Opens models and texts and evaluates them: the `evaluate` and `compare` commands without their
// printing.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "model/compute.h"
#include "pipeline/evaluate_tasks.h"
#include "pipeline/text_scores.h"

namespace halftone {

// Without texts: only where there are images, tasks, or a reference that is a file.
struct EvaluateRequest : TextRequest {
  std::filesystem::path model;
  // A model, or a file of log-probabilities (log_probability_file.h).
  std::optional<std::filesystem::path> reference;
  // Labelled images, of a classifier: nothing else goes with them.
  std::optional<std::filesystem::path> images;
  std::string device = "cpu";
  Compute compute = Compute::kAuto;  // auto = float32
  int threads = 0;
  TasksRequest tasks = {};
};

// What evaluating the models reads.
std::vector<std::filesystem::path> inputs_of(const std::vector<std::filesystem::path>& models,
                                             const EvaluateRequest& request);

// One object as interface.md 6 lists it; `failure` (a line), where a result is not a number.
nlohmann::json evaluate_model(const EvaluateRequest& request, Progress& progress);

// The first model alone, the others against it, all on the first one's windows; request.model and
// request.reference are not read. The first model runs once wherever its last hidden states fit.
std::vector<nlohmann::json> compare_models(const std::vector<std::filesystem::path>& models,
                                           const EvaluateRequest& request, Progress& progress);

}  // namespace halftone
