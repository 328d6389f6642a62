#include "report/task_table.h"

#include <fmt/format.h>

#include <algorithm>

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

// acc has the plain name.
std::string error_name(const std::string& metric) {
  return metric == "acc" ? "stderr" : metric + "_stderr";
}

// What a generated text is searched for by several extractions: the names of all but the metric.
std::vector<std::string> other_matches(const Json& task) {
  std::vector<std::string> names;
  for (const auto& [name, value] : task.items())
    if (task.contains(name + "_stderr") && name != find_text(task, "metric")) names.push_back(name);
  return names;
}

bool is_generated(const Json& task) {
  return !task.contains("acc");
}

struct Columns {
  bool generated, referred;  // whether any task has texts generated; a reference
};

std::vector<std::string> row_of(const std::string& name, const Json& task, const Columns& columns) {
  const std::string metric = find_text(task, "metric");
  std::vector<std::string> row = {name, count(task, "items"), share(task, "acc", "stderr"),
                                  share(task, "acc_norm", "acc_norm_stderr")};
  if (columns.generated)
    row.push_back(is_generated(task) ? share(task, metric, error_name(metric)) : "-");
  if (!columns.referred) return row;
  const auto p = find_metric(task, "flips.p");
  row.insert(row.end(), {share(task, "reference." + metric, "reference." + error_name(metric)),
                         count(task, "flips.right_to_wrong"), count(task, "flips.wrong_to_right"),
                         p ? fmt::format("{:.3g}", *p) : "-"});
  return row;
}

// The same answers searched in another way.
std::vector<std::string> row_of_match(const std::string& match, const Json& task,
                                      const Columns& columns) {
  std::vector<std::string> row = {"  " + match, "", "", "", share(task, match, error_name(match))};
  if (columns.referred)
    row.insert(row.end(),
               {share(task, "reference." + match, "reference." + error_name(match)), "", "", ""});
  return row;
}

}  // namespace

std::string task_table(const Json& evaluation) {
  const auto tasks = evaluation.find("tasks");
  if (tasks == evaluation.end() || !tasks->is_object()) return "";
  const Columns columns{std::any_of(tasks->begin(), tasks->end(), is_generated),
                        find_metric(evaluation, "tasks_mean.reference").has_value()};
  std::vector<std::string> header = {"task", "items", "acc", "acc_norm"};
  std::vector<std::string> mean = {"mean", "", "", share(evaluation, "tasks_mean.value", "")};
  if (columns.generated) {
    header.push_back("exact match");
    mean.push_back("");
  }
  if (columns.referred) {
    header.insert(header.end(), {"of the reference", "right to wrong", "wrong to right", "p"});
    mean.push_back(share(evaluation, "tasks_mean.reference", ""));
  }
  TextTable table;
  table.add_row(header);
  table.add_rule();
  for (const auto& [name, task] : tasks->items()) {
    table.add_row(row_of(name, task, columns));
    if (!is_generated(task)) continue;
    for (const std::string& match : other_matches(task))
      table.add_row(row_of_match(match, task, columns));
  }
  if (tasks->size() > 1) {
    table.add_rule();
    table.add_row(mean);
  }
  return table.text();
}

}  // namespace halftone
