// The rows of a task's data file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "task/task.h"

namespace halftone {

struct TaskFiles {
  std::filesystem::path items, labels;  // labels may be empty
};

// The first of `data` whose files are in `folder`. Error: none; it lists what was looked for.
TaskFiles find_files(const Task& task, const std::vector<DataFiles>& data,
                     const std::filesystem::path& folder);
// "a.jsonl, or b.jsonl and b.lst"
std::string names_of(const std::vector<DataFiles>& data);

struct DataRow {
  int64_t line;  // of the file, from 1
  nlohmann::json fields;
};

struct DataRows {
  std::vector<DataRow> rows;  // one at least
  std::string sha256;         // of the files
};

// At most `limit` rows from the start (0: all). Errors, with file and line: not JSON, no object, no
// rows, labels that are not one a row.
DataRows read_rows(const TaskFiles& files, int64_t limit);

}  // namespace halftone
