#include "pipeline/output_place.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/place.h"
#include "checkpoint/checkpoint.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

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

const char* relation(const fs::path& output, const fs::path& other) {
  const bool inside = lies_within(output, other), around = lies_within(other, output);
  if (inside && around) return "is";
  return inside ? "lies inside" : around ? "holds" : nullptr;
}

}  // namespace

fs::path journal_folder(const fs::path& out) {
  return place_of(out) += ".journal";
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
  require(found == PlaceKind::kFolder, "{}: expected a folder, found {}", shown(out),
          name_of(found));
  require_own(out);
  require_movable(out);
}

void require_output_folder(const fs::path& out, Existing existing,
                           const std::vector<fs::path>& inputs) {
  require(!out.empty(), "--out: expected the name of a folder, found nothing");
  require(place_of(out).has_filename(), "{}: expected the name of a folder to make", shown(out));
  require_apart(out, inputs);
  require(!lies_within(fs::current_path(), out),
          "{}: is or holds the folder in which this command runs: expected one of its own",
          shown(out));
  const bool there = kind_at(out) != PlaceKind::kNothing;
  require(!there || existing != Existing::kRefuse, "{}: already exists; --overwrite replaces it",
          shown(out));
  if (there && existing == Existing::kResume) return;  // finished, or refused when it is read
  require_replaceable(out);
  require_creatable(out);
}

}  // namespace halftone
