// --tasks and what belongs to it.
#pragma once

#include <optional>
#include <string>

#include "pipeline/evaluate_tasks.h"

namespace CLI {
class App;
}

namespace halftone {

struct TaskOptions {
  std::optional<std::string> tasks, data, items;
  int64_t shots = -1, limit = 0;  // shots: -1: as each task says
  bool truncate = false, resume = false;
};
void add_task_options(CLI::App& command, TaskOptions& options);

// Errors: a list with a name missing, an option without the one that it belongs to.
TasksRequest tasks_request(const TaskOptions& options);

}  // namespace halftone
