// Runs tasks: their items through a model and, beside it, its reference.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "pipeline/items_file.h"
#include "pipeline/opened_model.h"
#include "task/items.h"

namespace halftone {

struct TasksRequest {
  std::vector<std::string> names;     // of tasks, or their .toml files; empty: none
  std::filesystem::path data;         // folder; empty: that of each .toml file
  int64_t limit = 0;                  // items a task; 0 = all
  std::optional<int64_t> shots = {};  // examples before each item; none: as each task says
  bool truncate = false;              // cuts prompts that are longer than the context
  std::filesystem::path items;        // file of results; empty: none
  bool resume = false;                // go on with it
};

// Errors: those of find_task and locate_task; two tasks of one name.
std::vector<LocatedTask> locate_tasks(const TasksRequest& request);
// What they read.
std::vector<std::filesystem::path> inputs_of(const TasksRequest& request);

struct TaskResults {
  nlohmann::json tasks;  // as interface.md 6.1 has it: by name
  nlohmann::json mean;   // `tasks_mean`
  std::vector<std::string> notes;
};

// Errors: those of read_items and RequestEncoder, behind file and line; a prompt that is longer
// than the model's context (less what is generated), unless request.truncate.
TaskResults evaluate_tasks(const TasksRequest& request, const OpenedModel& model,
                           const OpenedModel* reference, const Execution& execution,
                           Progress& progress);

}  // namespace halftone
