#include "pipeline/output_place.h"

#include <algorithm>
#include <array>

#include "base/place.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_file.h"
#include "checkpoint/strict_json.h"
#include "format/gguf_output.h"
#include "pipeline/output_parts.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool is_report_of_output(const fs::path& file) {
  try {
    return read_json(file).contains(kVersionKey);
  } catch (const Error&) {
    return false;
  }
}

bool belongs_to_a_model(const fs::path& file) {
  constexpr std::array kNames = {"config.json", "halftone.json", "run.json"};
  const fs::path name = file.filename();
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.extension() == ".safetensors" || name.extension() == ".gguf";
}

// A file of a model in a folder inside this one, where no output has any; empty: none.
fs::path other_model_in(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry.depth() > 0 && belongs_to_a_model(entry->path())) return entry->path();
  require(!error, "{}: cannot be looked through: {}", shown(folder), error.message());
  return {};
}

void require_own(const fs::path& out) {
  std::error_code error;
  if (fs::is_empty(out, error) && !error) return;
  require(is_report_of_output(out / kReportFile),
          "{}: expected an output of this program, found a folder without its {}: --overwrite "
          "replaces nothing else; move it away, or choose another name",
          shown(out), kReportFile);
  const fs::path other = other_model_in(out);
  require(other.empty(), "{}: holds another model ({}): --overwrite would delete it", shown(out),
          shown(other));
}

void require_own_file(const fs::path& out) {
  bool own = false;
  try {
    own = report_of_output(out).contains(kVersionKey);
  } catch (const Error&) {
    own = false;  // whatever it is, it is not ours
  }
  require(own,
          "{}: expected an output of this program, found a file without its report: --overwrite "
          "replaces nothing else; move it away, or choose another name",
          shown(out));
}

const char* relation(const fs::path& output, const fs::path& other) {
  const bool inside = lies_within(output, other), around = lies_within(other, output);
  if (inside && around) return "is";
  return inside ? "lies inside" : around ? "holds" : nullptr;
}

}  // namespace

fs::path journal_folder(const fs::path& out) {
  return place_of(out) += ".journal";
}

json report_of_output(const fs::path& output) {
  const fs::path out = file_to_open(output);
  if (kind_at(out) == PlaceKind::kFolder)
    return is_there(out / kReportFile) ? read_json(out / kReportFile) : json();
  if (kind_at(out) != PlaceKind::kFile || !is_gguf(out)) return {};
  const GgufFile file(out);
  return with_path(out, [&]() -> json {
    const auto text = file.metadata().text(kGgufReportKey);
    return text ? parse_strict_json(*text) : json();
  });
}

std::string place_of_report(const fs::path& out) {
  return kind_at(out) == PlaceKind::kFolder ? shown(out / kReportFile)
                                            : fmt::format("{}: {}", shown(out), kGgufReportKey);
}

std::vector<fs::path> files_of_model(const fs::path& model) {
  std::vector<fs::path> files = {model};
  std::error_code error;
  for (fs::directory_iterator entry(model, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->is_symlink(error) && entry->is_regular_file(error)) files.push_back(entry->path());
  return files;
}

void require_apart(const fs::path& output, const std::vector<fs::path>& others) {
  for (const fs::path& other : others)
    if (const char* found = relation(output, other))
      fail("{}: {} {}, which this command works with: expected a place apart from it",
           shown(output), found, shown(other));
}

void require_replaceable(const fs::path& out) {
  const PlaceKind found = kind_at(out);
  if (found == PlaceKind::kNothing) return;
  require(found == PlaceKind::kFolder || found == PlaceKind::kFile,
          "{}: expected a folder or a file, found {}", shown(out), name_of(found));
  if (found == PlaceKind::kFolder)
    require_own(out);
  else
    require_own_file(out);
  require_movable(out);
}

void require_output(const fs::path& out, PendingOutput::Kind kind, Existing existing,
                    const std::vector<fs::path>& inputs) {
  const bool is_file = kind == PendingOutput::Kind::kFile;
  const char* wanted = is_file ? "a file" : "a folder";
  require(!out.empty(), "--out: expected the name of {}, found nothing", wanted);
  require(place_of(out).has_filename(), "{}: expected the name of {} to make", shown(out), wanted);
  require(is_file == (out.extension() == ".gguf"), "{}: expected a name {} .gguf{}", shown(out),
          is_file ? "that ends in" : "without",
          is_file ? "" : ": that is what --format gguf is called");
  require_apart(out, inputs);
  require(!lies_within(fs::current_path(), out),
          "{}: is or holds the folder in which this command runs: expected one of its own",
          shown(out));
  const PlaceKind found = kind_at(out);
  const bool there = found != PlaceKind::kNothing;
  require(!there || existing != Existing::kRefuse, "{}: already exists; --overwrite replaces it",
          shown(out));
  if (there && existing == Existing::kResume) return;  // finished, or refused when it is read
  const bool other = found == (is_file ? PlaceKind::kFolder : PlaceKind::kFile);
  require(!other, "{}: expected {}, found {}", shown(out), wanted, name_of(found));
  require_replaceable(out);
  require_creatable(out);
}

}  // namespace halftone
