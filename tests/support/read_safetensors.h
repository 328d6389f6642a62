// A minimal reader of trusted safetensors files, so that tests of a room need no other room.
#pragma once

#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace halftone::testing {

// Every F32, I8 and U8 tensor of the file (others are left out), by name.
inline std::map<std::string, at::Tensor> read_safetensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const std::map<std::string, at::ScalarType> known = {
        {"F32", at::kFloat}, {"I8", at::kChar}, {"U8", at::kByte}};
    const auto dtype = known.find(entry["dtype"].get<std::string>());
    if (dtype == known.end()) continue;
    const auto shape = entry["shape"].get<std::vector<int64_t>>();
    at::Tensor tensor = at::empty(shape, dtype->second);
    const auto begin = entry["data_offsets"][0].get<size_t>();
    std::memcpy(tensor.mutable_data_ptr(), bytes.data() + 8 + length + begin, tensor.nbytes());
    tensors[name] = tensor;
  }
  return tensors;
}

}  // namespace halftone::testing
