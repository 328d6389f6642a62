#include "checkpoint/gguf_file.h"

#include <cassert>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/place.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPartKey = "split.no", kPartsKey = "split.count",
                           kTensorsKey = "split.tensors.count";
constexpr int64_t kMostParts = 99999;  // what names have digits for

// What a part's name says.
struct PartName {
  std::string base;
  int64_t number, count;  // from 1
};

// Of BASE-00001-of-00003.gguf. (Not std::regex: g++ 12 warns inside it under the sanitizers.)
std::optional<PartName> part_name(const fs::path& path) {
  constexpr std::string_view kForm = "-#####-of-#####.gguf";
  const std::string name = path.filename().string();
  if (name.size() < kForm.size()) return {};
  const size_t start = name.size() - kForm.size();
  const std::string_view end = std::string_view(name).substr(start);
  for (size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == '#' ? end[i] < '0' || end[i] > '9' : end[i] != kForm[i]) return {};
  const auto number = [&](size_t at) { return std::stoll(std::string(end.substr(at, 5))); };
  return PartName{name.substr(0, start), number(1), number(10)};
}

fs::path path_of_part(const fs::path& first, const PartName& name, int64_t number) {
  return first.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name.base, number, name.count);
}

// Of the first part.
int64_t checked_count(const GgufFile& file) {
  const GgufMetadata& metadata = file.metadata();
  const int64_t count = metadata.whole(kPartsKey).value_or(1);
  require(count <= kMostParts && count >= 0, "{}: expected 1 to {}, found {}", kPartsKey,
          kMostParts, count);
  if (count <= 1) return 1;
  const std::optional<PartName> name = part_name(file.file().path());
  const int64_t number = metadata.whole(kPartKey).value_or(-1);
  require(name && name->count == count && name->number == number + 1,
          "{} {} of {} {}: expected a name that ends in -{:05}-of-{:05}.gguf", kPartKey, number,
          kPartsKey, count, number + 1, count);
  require(number == 0, "expected the first part, {}, found part {}",
          path_of_part(file.file().path(), *name, 1).filename().string(), number + 1);
  return count;
}

void check_part(const GgufFile& part, const GgufFile& first, int64_t number, int64_t count) {
  const GgufMetadata& metadata = part.metadata();
  for (const auto& [key, expected] : {std::pair{kPartKey, number}, std::pair{kPartsKey, count}}) {
    const std::optional<int64_t> found = metadata.whole(key);
    require(found == expected, "{}: expected {}, found {}; likely a part of another model", key,
            expected, found ? std::to_string(*found) : "none");
  }
  for (const std::string_view key :
       {std::string_view("general.architecture"), std::string_view("general.name"), kTensorsKey}) {
    const GgufValue *ours = metadata.find(key), *theirs = first.metadata().find(key);
    require(!ours || !theirs || ours->bytes == theirs->bytes,
            "{}: expected what the first part says; likely a part of another model", key);
  }
}

void check_tensors(const std::vector<std::shared_ptr<const GgufFile>>& parts) {
  std::set<std::string_view> names;
  for (const auto& part : parts)
    for (const GgufTensor& tensor : part->tensors())
      require(names.insert(tensor.name).second,
              "{}: tensor \"{}\": expected in one part, found in "
              "two",
              shown(part->file().path()), printable(tensor.name));
  const std::optional<int64_t> expected = parts.front()->metadata().whole(kTensorsKey);
  require(!expected || *expected == static_cast<int64_t>(names.size()),
          "{}: {}: expected {} tensors in all parts, found {}", shown(parts.front()->file().path()),
          kTensorsKey, expected.value_or(0), names.size());
}

}  // namespace

GgufFile::GgufFile(const fs::path& path) : file_(path) {
  header_ = with_context(shown(path), [&] { return parse_gguf_header(file_.text()); });
  for (size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& tensor) const {
  assert(tensor.begin <= tensor.end && tensor.end <= file_.bytes().size());
  return file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin);
}

bool is_gguf(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  if (path.extension() == ".gguf") return true;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::string_view(magic, sizeof magic) == "GGUF";
}

std::vector<std::shared_ptr<const GgufFile>> open_gguf_parts(const fs::path& path) {
  std::vector<std::shared_ptr<const GgufFile>> parts{std::make_shared<GgufFile>(path)};
  const int64_t count = with_context(shown(path), [&] { return checked_count(*parts.front()); });
  for (int64_t number = 1; number < count; ++number) {
    const fs::path beside = path_of_part(path, *part_name(path), number + 1);
    std::error_code error;
    require(fs::exists(beside, error), "{}: the part {} is missing", shown(path),
            printable(beside.filename().string(), 200));
    parts.push_back(std::make_shared<GgufFile>(beside));
    with_context(shown(beside), [&] { check_part(*parts.back(), *parts.front(), number, count); });
  }
  if (count > 1) check_tensors(parts);
  return parts;
}

}  // namespace halftone
