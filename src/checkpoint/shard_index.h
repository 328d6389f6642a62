// model.safetensors.index.json: which shard of a model folder holds which tensor (formats.md 2).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace halftone {

inline constexpr std::string_view kSingleFile = "model.safetensors";
inline constexpr std::string_view kIndexFile = "model.safetensors.index.json";

struct ShardIndex {
  std::map<std::string, std::string> shard_of;  // tensor -> file name
  // Bytes of all tensors, as the file says it ("16", "\"16\""); empty where it says nothing. Nobody
  // needs it to find a tensor.
  std::string total_size;

  bool says(size_t bytes) const;  // that there are so many; also where it says nothing
};

// Errors: malformed, or a shard that is not a plain file name (a separator, "..", an absolute
// path).
ShardIndex read_shard_index(const std::filesystem::path& path);

}  // namespace halftone
