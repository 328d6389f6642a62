// The tasks of an evaluation as a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace halftone {

// A row a task, and their mean; empty without tasks.
std::string task_table(const nlohmann::json& evaluation);

}  // namespace halftone
