#include "checkpoint/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/dtype.h"
#include "checkpoint/shard_index.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfigFile = "config.json";
constexpr size_t kMxfp4Bytes = 16;  // of the codes that a byte of scale belongs to

using Files = std::vector<std::shared_ptr<const SafetensorsFile>>;

bool is_found(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

nlohmann::json read_config(const fs::path& folder) {
  std::error_code error;
  require(fs::is_directory(folder, error), "{}: expected a model folder, found {}", shown(folder),
          is_found(folder) ? "a file" : "nothing");
  const fs::path path = folder / kConfigFile;
  require(is_found(path), "{}: expected a model folder, found no config.json", shown(folder));
  nlohmann::json config = read_json(path);
  require(config.is_object(), "{}: expected an object, found {}", shown(path), config.type_name());
  return config;
}

[[noreturn]] void fail_without_weights(const fs::path& folder) {
  const bool pickled =
      is_found(folder / "pytorch_model.bin") || is_found(folder / "pytorch_model.bin.index.json");
  fail("{}: expected {} or {}, found neither{}", shown(folder), kSingleFile, kIndexFile,
       pickled ? "; pytorch_model.bin has to be converted to safetensors first" : "");
}

// Every tensor is where the index says and nowhere else.
void require_honest(const ShardIndex& index, const Files& files) {
  size_t found = 0;
  for (const auto& file : files) {
    const std::string shard = file->file().path().filename().string();
    for (const StoredTensor& tensor : file->tensors()) {
      const auto entry = index.shard_of.find(tensor.name);
      require(entry != index.shard_of.end() && entry->second == shard,
              "tensor \"{}\": expected in {}, found in {}", printable(tensor.name, 200),
              entry == index.shard_of.end() ? "no shard" : printable(entry->second),
              printable(shard));
      found += 1;
    }
  }
  for (const auto& [tensor, shard] : index.shard_of) {
    if (found == index.shard_of.size()) break;
    const auto holds = [&name = tensor](const auto& file) { return file->find(name) != nullptr; };
    require(std::any_of(files.begin(), files.end(), holds),
            "tensor \"{}\": expected in {}, which does not hold it", printable(tensor, 200),
            printable(shard));
  }
}

// What the experts' own tensors say.
void drop_mxfp4(nlohmann::json& config) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || !found->is_object()) return;
  const auto method = found->find("quant_method");
  if (method != found->end() && *method == "mxfp4") config.erase(found);
}

size_t bytes_of_tensors(const Files& files) {
  size_t bytes = 0;
  for (const auto& file : files)
    for (const StoredTensor& tensor : file->tensors()) bytes += tensor.end - tensor.begin;
  return bytes;
}

Files open_shards(const fs::path& folder, std::vector<std::string>& notes) {
  const fs::path path = folder / kIndexFile;
  const ShardIndex index = read_shard_index(path);
  std::set<std::string> names;
  for (const auto& [tensor, shard] : index.shard_of) names.insert(shard);
  Files files;
  for (const std::string& name : names) {
    require(is_found(folder / name), "{}: the shard {} is missing", shown(path), printable(name));
    files.push_back(std::make_shared<SafetensorsFile>(folder / name));
  }
  require(!files.empty(), "{}: weight_map: expected tensors, found none", shown(path));
  with_context(shown(path), [&] { require_honest(index, files); });
  if (const size_t bytes = bytes_of_tensors(files); !index.says(bytes))
    notes.push_back(
        fmt::format("{}: total_size: expected {} bytes, found {} in the shards; every tensor that "
                    "the index names is there",
                    shown(path), printable(index.total_size), bytes));
  return files;
}

// Levenshtein's.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

std::string closest_names(std::string_view name, const std::vector<std::string>& known) {
  constexpr size_t kShown = 3, kCompared = 200;
  std::set<std::pair<size_t, std::string>> closest;
  for (const std::string& other : known) {
    closest.emplace(edit_distance(name.substr(0, kCompared), other.substr(0, kCompared)), other);
    if (closest.size() > kShown) closest.erase(std::prev(closest.end()));
  }
  std::string text;
  for (const auto& [distance, other] : closest)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", printable(other));
  return text;
}

}  // namespace

Checkpoint::Checkpoint(const fs::path& folder)
    : folder_(folder), config_(read_config(folder)), layout_(&stored_layout(config_)) {
  // a single file goes before an index, as in transformers
  if (is_found(folder / kSingleFile))
    files_.push_back(std::make_shared<SafetensorsFile>(folder / kSingleFile));
  else if (is_found(folder / kIndexFile))
    files_ = open_shards(folder, notes_);
  else
    fail_without_weights(folder);
  Places scales;
  const auto for_each = [&](const auto& use) {
    for (size_t file = 0; file < files_.size(); ++file)
      for (size_t i = 0; i < files_[file]->tensors().size(); ++i) use(Place{file, i});
  };
  for_each([&](const Place& place) {
    const auto fused = fused_name(*layout_, stored(place).name);
    if (fused && fused->kind == FusedKind::kScales) scales.emplace(stored(place).name, place);
  });
  if (!scales.empty()) drop_mxfp4(config_);
  for_each([&](const Place& place) {
    const std::string& name = stored(place).name;
    if (const auto fused = fused_name(*layout_, name))
      with_context(shown(folder_), [&] { add_fused(*fused, place, scales); });
    else
      add_place(full_name(*layout_, name), place);
  });
  require(scales.empty(), "{}: tensor \"{}\": scales without blocks", shown(folder_),
          scales.empty() ? "" : printable(scales.begin()->first, 200));
}

void Checkpoint::add_place(const std::string& name, const Place& place) {
  const std::string& first = stored(places_.emplace(name, place).first->second).name;
  require(first == stored(place).name, "{}: tensors \"{}\" and \"{}\" are one of the model's",
          shown(folder_), printable(first, 200), printable(stored(place).name, 200));
}

// scales: those of blocks, by their names, from which its own are taken
void Checkpoint::add_fused(const FusedName& name, const Place& place, Places& scales) {
  const StoredTensor& tensor = stored(place);
  Place at = place;
  if (name.kind == FusedKind::kBlocks) {
    const auto found = scales.find(fmt::format("{}{}_scales", name.prefix, name.experts->stem));
    require(found != scales.end(), "{}: its scales are missing", printable(tensor.name, 200));
    const StoredTensor& theirs = stored(found->second);
    require(tensor.dtype == "U8" && theirs.dtype == "U8" && tensor.shape.size() == 4 &&
                std::ranges::equal(theirs.shape, std::span(tensor.shape).first(3)),
            "{}: expected bytes and a scale for each block, found {} [{}] and {} [{}]",
            printable(tensor.name, 200), tensor.dtype, fmt::join(tensor.shape, ", "), theirs.dtype,
            fmt::join(theirs.shape, ", "));
    at.scales_file = found->second.file;
    at.scales = found->second.tensor;
    scales.erase(found);
  }
  for (const auto& [part_name, part] : expert_parts(name, tensor.shape)) {
    at.part = part;
    add_place(part_name, at);
  }
}

std::vector<fs::path> Checkpoint::files() const {
  std::vector<fs::path> files = {folder_ / kConfigFile};
  for (const auto& file : files_) files.push_back(file->file().path());
  return files;
}

const std::map<std::string, std::string>& Checkpoint::metadata() const {
  return files_.front()->metadata();
}

bool Checkpoint::contains(std::string_view name) const {
  return places_.contains(name);
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

const Checkpoint::Place& Checkpoint::find(std::string_view name) const {
  const auto found = places_.find(name);
  if (found == places_.end())  // the closest names are looked for only then
    fail("{}: no tensor \"{}\"; closest: {}", shown(folder_), printable(name, 200),
         closest_names(name, names()));
  return found->second;
}

const StoredTensor& Checkpoint::stored(std::string_view name) const {
  return stored(find(name));
}

const StoredTensor& Checkpoint::stored(const Place& place) const {
  return files_[place.file]->tensors()[place.tensor];
}

std::vector<int64_t> Checkpoint::shape_of(std::string_view name) const {
  const Place& place = find(name);
  std::vector<int64_t> shape = stored(place).shape;
  if (place.part) return shape_of_part(*place.part, shape);
  if (shape.size() == 2 && is_turned(*layout_, name)) std::swap(shape[0], shape[1]);
  return shape;
}

StoredInfo Checkpoint::stored_info(std::string_view name) const {
  const Place& place = find(name);
  const StoredTensor& tensor = stored(place);
  const size_t bytes = tensor.end - tensor.begin;
  if (!place.part) return {tensor.dtype, shape_of(name), bytes};
  const bool blocks = place.part->kind == FusedKind::kBlocks;
  const auto parts = static_cast<size_t>(tensor.shape[0] * place.part->parts);
  return {blocks ? "MXFP4" : tensor.dtype, shape_of(name),
          (blocks ? bytes + bytes / kMxfp4Bytes : bytes) / parts};
}

std::span<const std::byte> Checkpoint::stored_data(std::string_view name) const {
  const Place& place = find(name);
  const std::span<const std::byte> all = files_[place.file]->bytes(stored(place));
  if (!place.part) return all;  // else what its expert has, parts between one another
  const size_t own = all.size() / static_cast<size_t>(stored(place).shape[0]);
  return all.subspan(static_cast<size_t>(place.part->expert) * own, own);
}

WeightInfo Checkpoint::info(std::string_view name) const {
  const Place& place = find(name);
  if (place.part && place.part->kind == FusedKind::kBlocks) return {shape_of(name), at::kBFloat16};
  const StoredTensor& tensor = stored(place);
  const Dtype* dtype = find_dtype(tensor.dtype);
  require(dtype && dtype->scalar,
          "{}: tensor \"{}\": dtype {} can be listed but not loaded: torch has no such type",
          shown(folder_), printable(name, 200), tensor.dtype);
  return {shape_of(name), *dtype->scalar};
}

at::Tensor Checkpoint::load(std::string_view name) const {
  const Place& place = find(name);
  const at::Tensor whole = files_[place.file]->view(stored(place));
  if (!place.part) return turned_if_needed(*layout_, name, whole);
  const at::Tensor own = taken_out(whole, *place.part);
  if (place.part->kind != FusedKind::kBlocks) return own;
  const SafetensorsFile& file = *files_[place.scales_file];
  return mxfp4_numbers(own, taken_out(file.view(file.tensors()[place.scales]), *place.part));
}

void Checkpoint::release(std::string_view name) const {
  files_[find(name).file]->file().release_pages(stored_data(name));
}

size_t Checkpoint::stored_bytes() const {
  return bytes_of_tensors(files_);
}

}  // namespace halftone
