// GGUF files put together byte by byte, honest ones and others.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace halftone::testing {

template <class T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string gguf_string(const std::string& text) {
  return le<uint64_t>(text.size()) + text;
}

// What a value is stored as: its kind, then itself.
inline std::string u32(uint32_t value) {
  return le<uint32_t>(4) + le(value);
}
inline std::string u16(uint16_t value) {
  return le<uint32_t>(2) + le(value);
}
inline std::string i32(int32_t value) {
  return le<uint32_t>(5) + le(value);
}
inline std::string f32(float value) {
  return le<uint32_t>(6) + le(value);
}
inline std::string boolean(bool value) {
  return le<uint32_t>(7) + std::string(1, value ? '\1' : '\0');
}
inline std::string text(const std::string& value) {
  return le<uint32_t>(8) + gguf_string(value);
}
inline std::string texts(const std::vector<std::string>& values) {
  std::string bytes = le<uint32_t>(9) + le<uint32_t>(8) + le<uint64_t>(values.size());
  for (const std::string& value : values) bytes += gguf_string(value);
  return bytes;
}
inline std::string u32s(const std::vector<uint32_t>& values) {
  std::string bytes = le<uint32_t>(9) + le<uint32_t>(4) + le<uint64_t>(values.size());
  for (const uint32_t value : values) bytes += le(value);
  return bytes;
}

struct GgufBytes {
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // fastest first, as stored
    uint32_t type = 0;
    std::string data;
  };

  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Tensor> tensors;
  uint32_t version = 3;
  size_t alignment = 32;

  GgufBytes& with(const std::string& key, const std::string& value) {
    std::erase_if(metadata, [&](const auto& pair) { return pair.first == key; });
    metadata.emplace_back(key, value);
    return *this;
  }
  GgufBytes& without(const std::string& key) {
    std::erase_if(metadata, [&](const auto& pair) { return pair.first == key; });
    return *this;
  }
  GgufBytes& add(const std::string& name, std::vector<uint64_t> dims, const std::string& data,
                 uint32_t type = 0) {
    tensors.push_back({name, std::move(dims), type, data});
    return *this;
  }

  std::string str() const {
    std::string bytes =
        "GGUF" + le(version) + le<uint64_t>(tensors.size()) + le<uint64_t>(metadata.size());
    for (const auto& [key, value] : metadata) bytes += gguf_string(key) + value;
    std::string data;
    for (const Tensor& tensor : tensors) {
      bytes += gguf_string(tensor.name) + le<uint32_t>(static_cast<uint32_t>(tensor.dims.size()));
      for (const uint64_t size : tensor.dims) bytes += le(size);
      bytes += le(tensor.type) + le<uint64_t>(data.size());
      data = padded(data + tensor.data);
    }
    return padded(bytes) + data;
  }

 private:
  std::string padded(std::string bytes) const {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return bytes;
  }
};

inline std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += le(value);
  return bytes;
}

}  // namespace halftone::testing
