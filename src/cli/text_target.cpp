#include "cli/text_target.h"

#include <CLI/CLI.hpp>

#include "base/files.h"
#include "base/place.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "pipeline/output_place.h"
#include "report/own_report.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

// A stream takes anything; a file may be replaced if it holds nothing, or what we wrote.
void require_target(const fs::path& path) {
  const std::string shown = printable(path.string(), 400);
  const PlaceKind found = kind_at(path);
  require(found != PlaceKind::kFolder && found != PlaceKind::kOther,
          "{}: expected a file, found {}", shown, name_of(found));
  if (found != PlaceKind::kFile) return;
  require(is_own_report(MappedFile(path).text()),
          "{}: expected a report of this program, found something else, which is not replaced: "
          "choose another name",
          shown);
  require_movable(path);
}

}  // namespace

TextTarget::TextTarget(std::string name, const std::vector<fs::path>& apart_from)
    : name_(std::move(name)) {
  if (!is_given() || is_stdout()) return;
  require_apart(name_, apart_from);
  require_target(name_);
  if (kind_at(name_) == PlaceKind::kStream)
    require_writable_stream(name_);
  else
    require_creatable(name_);
}

void TextTarget::write(std::string_view text) const {
  if (!is_given()) return;
  if (is_stdout()) return print_result(text);
  require_target(name_);
  if (kind_at(name_) == PlaceKind::kStream)
    write_through(name_, text);
  else
    write_file_atomically(name_, text);
}

void add_target(CLI::App& command, const TargetOption& option, std::string& target) {
  const auto set = [&target, name = option.name](const std::string& text) {
    if (text.empty()) throw UsageError(fmt::format("{}: expected a file, found nothing", name));
    target = text;
  };
  command.add_option_function<std::string>(option.name, set, option.help)->type_name("FILE");
}

}  // namespace halftone
