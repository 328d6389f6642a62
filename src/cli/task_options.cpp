#include "cli/task_options.h"

#include <algorithm>
#include <CLI/CLI.hpp>

#include "cli/exit_status.h"
#include "cli/options.h"

namespace halftone {
namespace {

constexpr int64_t kMostShots = 1000;
constexpr int64_t kMostItems = int64_t{1} << 32;

// "piqa, my/task.toml"
std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    const size_t first = name.find_first_not_of(' ');
    if (first == name.npos)
      throw UsageError(
          "--tasks: expected names or .toml files with commas between them, found nothing");
    names.push_back(name.substr(first, name.find_last_not_of(' ') + 1 - first));
    begin = end + 1;
  }
  return names;
}

void refuse(bool given, const char* option, const char* without) {
  if (given) throw UsageError(fmt::format("{}: only with {}", option, without));
}

}  // namespace

void add_task_options(CLI::App& command, TaskOptions& options) {
  command
      .add_option(
          "--tasks", options.tasks,
          fmt::format("multiple choice and generated answers: {}, or .toml files", task_names()))
      ->type_name("LIST");
  command
      .add_option("--task-data", options.data,
                  "the folder with the tasks' data files (that of each .toml file)")
      ->type_name("DIR");
  add_integer(
      command,
      {"--shots", "examples before each item, drawn from the training file (as the task says)", 0,
       kMostShots},
      options.shots);
  add_integer(command, {"--limit", "items a task, from the start (all)", 1, kMostItems},
              options.limit);
  command.add_flag("--truncate", options.truncate,
                   "cut prompts that are longer than the context from the left");
  command.add_option("--items", options.items, "a line of JSON an item, as soon as it is scored")
      ->type_name("FILE");
  command.add_flag("--resume", options.resume, "go on with the items that --items holds");
}

TasksRequest tasks_request(const TaskOptions& options) {
  refuse(options.resume && !options.items, "--resume", "--items");
  refuse(options.data && !options.tasks, "--task-data", "--tasks");
  refuse(options.shots >= 0 && !options.tasks, "--shots", "--tasks");
  refuse(options.limit > 0 && !options.tasks, "--limit", "--tasks");
  refuse(options.truncate && !options.tasks, "--truncate", "--tasks");
  refuse(options.items && !options.tasks, "--items", "--tasks");
  TasksRequest request;
  if (options.tasks) request.names = names_in(*options.tasks);
  request.data = options.data.value_or("");
  if (options.shots >= 0) request.shots = options.shots;
  request.limit = options.limit;
  request.truncate = options.truncate;
  request.items = options.items.value_or("");
  request.resume = options.resume;
  return request;
}

}  // namespace halftone
