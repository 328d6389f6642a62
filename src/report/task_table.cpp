#include "report/task_table.h"

#include <fmt/format.h>

#include "report/human.h"
#include "report/metric.h"
#include "report/text_table.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

std::string share(const Json& json, const std::string& name, const std::string& error) {
  const auto value = find_metric(json, name);
  return value ? human_share(*value, find_metric(json, error)) : "-";
}

std::string count(const Json& json, const std::string& name) {
  const auto value = find_metric(json, name);
  return value ? fmt::format("{:.0f}", *value) : "-";
}

// Of the task's metric.
std::string of_reference(const Json& task) {
  const bool normalized = find_text(task, "metric") == "acc_norm";
  return normalized ? share(task, "reference.acc_norm", "reference.acc_norm_stderr")
                    : share(task, "reference.acc", "reference.stderr");
}

std::vector<std::string> row_of(const std::string& name, const Json& task, bool referred) {
  std::vector<std::string> row = {name, count(task, "items"), share(task, "acc", "stderr"),
                                  share(task, "acc_norm", "acc_norm_stderr")};
  if (!referred) return row;
  const auto p = find_metric(task, "flips.p");
  row.insert(row.end(), {of_reference(task), count(task, "flips.right_to_wrong"),
                         count(task, "flips.wrong_to_right"), p ? fmt::format("{:.3g}", *p) : "-"});
  return row;
}

}  // namespace

std::string task_table(const Json& evaluation) {
  const auto tasks = evaluation.find("tasks");
  if (tasks == evaluation.end() || !tasks->is_object()) return "";
  const bool referred = find_metric(evaluation, "tasks_mean.reference").has_value();
  std::vector<std::string> header = {"task", "items", "acc", "acc_norm"};
  std::vector<std::string> mean = {"mean", "", "", share(evaluation, "tasks_mean.value", "")};
  if (referred) {
    header.insert(header.end(), {"of the reference", "right to wrong", "wrong to right", "p"});
    mean.push_back(share(evaluation, "tasks_mean.reference", ""));
  }
  TextTable table;
  table.add_row(header);
  table.add_rule();
  for (const auto& [name, task] : tasks->items()) table.add_row(row_of(name, task, referred));
  if (tasks->size() > 1) {
    table.add_rule();
    table.add_row(mean);
  }
  return table.text();
}

}  // namespace halftone
