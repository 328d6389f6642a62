#include "pipeline/items_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "pipeline/output_place.h"
#include "text/json_fields.h"

namespace halftone {

ItemsFile::ItemsFile(std::filesystem::path path, bool resume,
                     const std::vector<std::filesystem::path>& apart_from)
    : path_(std::move(path)) {
  require_apart(path_, apart_from);
  const PlaceKind found = kind_at(path_);
  require(found == PlaceKind::kNothing || found == PlaceKind::kFile,
          "{}: expected a file, found {}", shown(path_), name_of(found));
  if (found == PlaceKind::kNothing) {
    require_creatable(path_);
    return;
  }
  const bool empty = std::filesystem::file_size(path_) == 0;
  require(
      empty || resume,
      "{}: expected no file, found one: --resume goes on with its items, or choose another name",
      shown(path_));
  read();
}

void ItemsFile::read() {
  with_path(path_, [&] {
    const MappedFile file(path_);
    const std::string_view text = file.text();
    for (size_t end; (end = text.find('\n', end_)) != text.npos; end_ = end + 1)
      with_context(fmt::format("line {}", lines_.size() + 1), [&] {
        Json line = parse_json(text.substr(end_, end - end_));
        for (const char* field : {"task", "run"}) (void)string_field(line, field);
        (void)integer_field(line, "index");
        lines_.push_back(std::move(line));
      });
  });
}

std::map<int64_t, Json> ItemsFile::lines_of(const std::string& task, const std::string& run) const {
  std::map<int64_t, Json> found;
  for (size_t i = 0; i < lines_.size(); ++i) {
    const Json& line = lines_[i];
    if (line.at("task") != task) continue;
    require(line.at("run") == run,
            "{}: line {}: expected an item of this run of {}, found one of another (its model, "
            "reference, data, template or compute): choose another name",
            shown(path_), i + 1, task);
    found.emplace(line.at("index").get<int64_t>(), line);
  }
  return found;
}

void ItemsFile::append(const std::vector<nlohmann::ordered_json>& lines) {
  if (!is_kept() || lines.empty()) return;
  if (kind_at(path_) == PlaceKind::kNothing) write_file_atomically(path_, "");
  std::string text;
  for (const auto& line : lines) text += line.dump() + '\n';
  std::filesystem::resize_file(path_, end_);  // without a line that was broken off
  write_inside(path_, end_, text);
  end_ += text.size();
}

}  // namespace halftone
