// The tensors of a trusted safetensors file as bytes, without torch.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace halftone::testing {

struct GoldenTensor {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;

  std::vector<float> floats() const {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
};

inline std::map<std::string, GoldenTensor> golden_tensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  uint64_t length = 0;
  std::memcpy(&length, text.data(), sizeof length);
  const auto header = nlohmann::json::parse(text.substr(8, length));
  std::map<std::string, GoldenTensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto data = text.begin() + 8 + static_cast<std::ptrdiff_t>(length);
    const auto begin = entry["data_offsets"][0].get<std::ptrdiff_t>();
    const auto end = entry["data_offsets"][1].get<std::ptrdiff_t>();
    tensors[name] = {entry["shape"].get<std::vector<int64_t>>(), {data + begin, data + end}};
  }
  return tensors;
}

}  // namespace halftone::testing
