// Names and files -> Task.

#include <fmt/ranges.h>

#include "base/closest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "task/task.h"

namespace halftone {
namespace {

constexpr size_t kLargestTask = size_t{1} << 20;
// A name is a key of reports: "tasks.piqa.acc".
constexpr const char* kNameLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, text] : builtin_tasks()) all.push_back(name);
  return all;
}

Task read_task_file(const std::filesystem::path& file) {
  return with_path(file, [&] {
    const std::string name = file.stem().string();
    require(!name.empty() && name.find_first_not_of(kNameLetters) == name.npos,
            "expected a file name of letters, digits, _ and -, which names the task");
    Task task = parse_task(read_file(file, kLargestTask), name);
    task.folder = parent_of(file);
    return task;
  });
}

}  // namespace

std::string task_names() {
  return fmt::format("{}", fmt::join(names(), ", "));
}

Task find_task(const std::string& name_or_file) {
  for (const auto& builtin : builtin_tasks())
    if (builtin.first == name_or_file)
      return with_context(name_or_file + ".toml",
                          [&] { return parse_task(builtin.second, builtin.first); });
  const std::filesystem::path file = name_or_file;
  if (file.extension() == ".toml") return read_task_file(file);
  fail("task {}: unknown{}; known are {}, or a .toml file",
       name_or_file.empty() ? "\"\"" : printable(name_or_file), did_you_mean(name_or_file, names()),
       task_names());
}

}  // namespace halftone
