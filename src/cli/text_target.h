// Where --json and --report go: standard output ("-"), a device or a pipe as it is, else a file
// that appears complete or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace halftone {

class TextTarget {
 public:
  // Before any work. apart_from: what the command reads and writes besides. Errors: one of these,
  // or inside of one; something that is no report of this program; a place where nothing can be
  // written. An empty name is no target.
  TextTarget(std::string name, const std::vector<std::filesystem::path>& apart_from);

  bool is_given() const { return !name_.empty(); }
  bool is_stdout() const { return name_ == "-"; }
  // Looks at the place once more: work may have taken hours.
  void write(std::string_view text) const;

 private:
  std::string name_;
};

// --json or --report; naming nothing is a UsageError.
struct TargetOption {
  std::string name, help;
};
void add_target(CLI::App& command, const TargetOption& option, std::string& target);

}  // namespace halftone
