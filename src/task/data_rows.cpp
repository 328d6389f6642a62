#include "task/data_rows.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/sha256.h"
#include "text/json_fields.h"
#include "text/white_space.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

struct Line {
  int64_t number;  // from 1
  std::string_view text;
};

// Those that are not blank.
std::vector<Line> lines_of(std::string_view content) {
  std::vector<Line> lines;
  for (int64_t number = 1; !content.empty(); ++number) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view text = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (text.find_first_not_of(" \t\r") != text.npos) lines.push_back({number, text});
  }
  return lines;
}

void add_label(Json& row, std::string_view label) {
  require(row.is_object() && !row.contains("label"),
          "expected an item without a label, since there is a file of labels");
  row["label"] = std::string(stripped(label));
}

std::string hash_of(const MappedFile& items, const MappedFile* labels) {
  const std::string hash = sha256_hex(items.bytes());
  if (labels == nullptr) return hash;
  const std::string both = hash + sha256_hex(labels->bytes());
  return sha256_hex(std::as_bytes(std::span(both)));
}

}  // namespace

std::string names_of(const std::vector<DataFiles>& data) {
  std::vector<std::string> names;
  for (const DataFiles& files : data)
    names.push_back(files.labels.empty() ? files.items : files.items + " and " + files.labels);
  return fmt::format("{}", fmt::join(names, ", or "));
}

TaskFiles find_files(const Task& task, const std::vector<DataFiles>& data, const fs::path& folder) {
  require(fs::is_directory(folder), "{}: expected a folder with the data of task {}, found {}",
          shown(folder), task.name, name_of(kind_at(folder)));
  for (const DataFiles& files : data) {
    const bool labelled = !files.labels.empty();
    if (fs::exists(folder / files.items) && (!labelled || fs::exists(folder / files.labels)))
      return {folder / files.items, labelled ? folder / files.labels : fs::path()};
  }
  fail("{}: task {}: expected {} (JSON lines), found none of them", shown(folder), task.name,
       names_of(data));
}

DataRows read_rows(const TaskFiles& files, int64_t limit) {
  const MappedFile content(files.items);
  std::optional<MappedFile> label_file;
  if (!files.labels.empty()) label_file.emplace(files.labels);
  std::vector<Line> lines = lines_of(content.text());
  const std::vector<Line> labels = lines_of(label_file ? label_file->text() : "");
  require(!label_file || labels.size() == lines.size(),
          "{}: expected {} labels, one an item of {}, found {}", shown(files.labels), lines.size(),
          files.items.filename().string(), labels.size());
  DataRows all{{}, hash_of(content, label_file ? &*label_file : nullptr)};
  if (limit > 0) lines.resize(std::min(lines.size(), static_cast<size_t>(limit)));
  with_path(files.items, [&] {
    require(!lines.empty(), "expected an item a line, found none");
    for (size_t i = 0; i < lines.size(); ++i)
      with_context(fmt::format("line {}", lines[i].number), [&] {
        Json row = parse_json(lines[i].text);
        require(row.is_object(), "expected a JSON object, found {}", row.type_name());
        if (label_file) add_label(row, labels[i].text);
        all.rows.push_back({lines[i].number, std::move(row)});
      });
  });
  return all;
}

}  // namespace halftone
