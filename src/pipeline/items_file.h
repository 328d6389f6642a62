// --items: a line of JSON an item, written as soon as it is scored; --resume reads what is there.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace halftone {

class ItemsFile {
 public:
  ItemsFile() = default;  // keeps nothing
  // Before any work; nothing is changed. Errors: the place is or lies in one of `apart_from`; it is
  // no place for a file; a file that holds something, without `resume`.
  ItemsFile(std::filesystem::path path, bool resume,
            const std::vector<std::filesystem::path>& apart_from);

  // The lines of a task by their index. run: what decides their results, besides the item. Error: a
  // line of another run.
  std::map<int64_t, nlohmann::json> lines_of(const std::string& task, const std::string& run) const;

  // Behind the last whole line; written through.
  void append(const std::vector<nlohmann::ordered_json>& lines);

  bool is_kept() const { return !path_.empty(); }

 private:
  void read();

  std::filesystem::path path_;
  size_t end_ = 0;  // of the last whole line
  std::vector<nlohmann::json> lines_;
};

}  // namespace halftone
