#include "pipeline/output_parts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "checkpoint/gguf_file.h"
#include "format/gguf_output.h"
#include "pipeline/output_place.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr size_t kDigits = 5;
constexpr std::string_view kFirst = "-00001-of-";

bool are_digits(std::string_view text) {
  return text.size() == kDigits &&
         std::ranges::all_of(text, [](char each) { return each >= '0' && each <= '9'; });
}

// Whether a file is called BASE-0000i-of-0000N.gguf.
bool is_part(std::string_view name, const std::string& base) {
  const std::string_view of = "-of-", end = ".gguf";
  if (name.size() != base.size() + 1 + 2 * kDigits + of.size() + end.size()) return false;
  if (!name.starts_with(base + "-") || !name.ends_with(end)) return false;
  const std::string_view numbers = name.substr(base.size() + 1);
  return are_digits(numbers.substr(0, kDigits)) && numbers.substr(kDigits, of.size()) == of &&
         are_digits(numbers.substr(kDigits + of.size(), kDigits));
}

// One behind the first, written by this program.
bool is_own_part(const fs::path& file) {
  try {
    return GgufFile(file).metadata().contains(kGgufVersionKey);
  } catch (const Error&) {
    return false;  // whatever it is, it is not ours
  }
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    files.push_back(entry->path());
  require(!error, "{}: cannot be looked through: {}", shown(folder), error.message());
  std::ranges::sort(files);
  return files;
}

// Puts what a folder's files are called on the disk.
void sync_names(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

// Files that were moved, and are moved back unless all of it goes well.
class Moves {
 public:
  ~Moves() {
    std::error_code ignored;
    for (auto move = done_.rbegin(); move != done_.rend(); ++move)
      fs::rename(move->second, move->first, ignored);
  }
  Moves() = default;
  Moves(const Moves&) = delete;
  Moves& operator=(const Moves&) = delete;

  void move(const fs::path& from, const fs::path& to) {
    require(!is_there(to), "{}: already exists", shown(to));
    std::error_code error;
    fs::rename(from, to, error);
    require(!error, "{}: cannot be put in place: {}", shown(to), error.message());
    done_.emplace_back(from, to);
  }
  void keep() { done_.clear(); }

 private:
  std::vector<std::pair<fs::path, fs::path>> done_;
};

}  // namespace

std::vector<fs::path> parts_beside(const fs::path& out) {
  const fs::path place = place_of(out);
  std::vector<fs::path> parts;
  std::error_code error;
  for (fs::directory_iterator entry(parent_of(place), error), end; !error && entry != end;
       entry.increment(error))
    if (is_part(entry->path().filename().string(), place.stem().string()))
      parts.push_back(entry->path());
  std::ranges::sort(parts);
  return parts;
}

fs::path file_to_open(const fs::path& out) {
  if (out.extension() != ".gguf" || is_there(out)) return out;
  const std::vector<fs::path> parts = parts_beside(out);
  const bool whole =
      !parts.empty() && parts.front().filename().string().find(kFirst) != std::string::npos;
  return whole ? parts.front() : out;
}

void require_no_parts(const fs::path& out, Existing existing) {
  require(!is_there(out),
          "{}: is there: parts beside it would be taken for another output; move it away",
          shown(out));
  const std::vector<fs::path> parts = parts_beside(out);
  if (parts.empty()) return;
  const bool whole = parts.front() == file_to_open(out);
  const bool replaced = existing == Existing::kReplace || (existing == Existing::kResume && !whole);
  require(replaced, "{}: already exists; --overwrite replaces it", shown(parts.front()));
  if (whole) return require_replaceable(parts.front());
  for (const fs::path& part : parts)
    require(is_own_part(part),
            "{}: expected the first part of an output of this program, found none: move this one "
            "away",
            shown(part));
}

void commit_parts(const fs::path& staging, const fs::path& out) {
  const fs::path folder = parent_of(place_of(out));
  const std::vector<fs::path> files = files_in(staging), before = parts_beside(out);
  require(!files.empty(), "{}: expected an output, found nothing", shown(staging));
  Moves moves;
  fs::path aside = staging;  // kept if this process is killed meanwhile (remove_abandoned)
  aside += "-old";
  std::error_code error;
  if (!before.empty()) fs::create_directory(aside, error);
  require(!error, "{}: cannot be created: {}", shown(aside), error.message());
  for (const fs::path& part : before) moves.move(part, aside / part.filename());
  for (size_t i = files.size(); i-- > 0;) moves.move(files[i], folder / files[i].filename());
  moves.keep();
  sync_names(folder);
  fs::remove_all(aside, error);
}

}  // namespace halftone
