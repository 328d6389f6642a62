// A task's data file -> its items, as texts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "task/data_rows.h"
#include "task/item_maker.h"
#include "task/task.h"

namespace halftone {

// A task, and where its data lies.
struct LocatedTask {
  Task task;
  TaskFiles files, train;  // train: of examples; only with shots
  int64_t shots = 0;       // examples before each item
};
// folder: --task-data; empty: the task's own. shots: none: as many as the task says. Errors: files
// that are not there; shots of a task without training files.
LocatedTask locate_task(Task task, const std::filesystem::path& folder,
                        std::optional<int64_t> shots);

struct TaskItems {
  std::vector<TaskItem> items;
  std::string sha256;  // of the files, and of what was drawn from
  std::string note;    // of their layout; may be empty
};

// At most `limit` items from the start (0: all), each behind the examples of the training file.
// Errors, with file and line: those of read_rows; a field that is missing or no text, an answer
// that is none of the choices.
TaskItems read_items(const LocatedTask& located, int64_t limit);

}  // namespace halftone
