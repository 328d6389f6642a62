#include "checkpoint/shard_index.h"

#include <algorithm>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace halftone {
namespace {

using nlohmann::json;

// A file of the same folder on every platform.
bool is_plain_name(std::string_view name) {
  const auto is_odd = [](char c) {
    return c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20;
  };
  return !name.empty() && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), is_odd);
}

std::map<std::string, std::string> read_weight_map(const json& index) {
  const auto map = index.find("weight_map");
  require(map != index.end() && map->is_object(), "weight_map: expected an object");
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : map->items()) {
    require(shard.is_string() && is_plain_name(shard.get_ref<const std::string&>()),
            "tensor \"{}\": expected the name of a file in this folder, found {}",
            printable(tensor, 200), printable(shard.dump()));
    shard_of.emplace_hint(shard_of.end(), tensor, shard.get<std::string>());
  }
  return shard_of;
}

std::string read_total_size(const json& index) {
  const auto metadata = index.find("metadata");
  if (metadata == index.end() || !metadata->is_object() || !metadata->contains("total_size"))
    return "";
  return metadata->at("total_size").dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace

// Some writers put a floating-point number there.
bool ShardIndex::says(size_t bytes) const {
  if (total_size.empty()) return true;
  const json size = json::parse(total_size);
  if (size.is_number_unsigned()) return size.get<uint64_t>() == bytes;
  return size.is_number_float() && size.get<double>() == static_cast<double>(bytes);
}

ShardIndex read_shard_index(const std::filesystem::path& path) {
  const json index = read_json(path);
  return with_context(printable(path.string(), 400), [&] {
    require(index.is_object(), "expected an object, found {}", index.type_name());
    return ShardIndex{.shard_of = read_weight_map(index), .total_size = read_total_size(index)};
  });
}

}  // namespace halftone
