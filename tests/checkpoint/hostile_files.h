// Files written byte by byte: what an honest writer would never produce.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace halftone::testing {

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Length field, header, data; the length may lie.
inline std::string safetensors_bytes(const std::string& header, const std::string& data,
                                     std::optional<uint64_t> length = {}) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[static_cast<size_t>(i)] = static_cast<char>(length.value_or(header.size()) >> (8 * i));
  return bytes + header + data;
}

// Message of the halftone::Error (and nothing else) that `work` throws; it has to be one line.
template <class Work>
std::string error_of(Work&& work) {
  try {
    std::forward<Work>(work)();
  } catch (const Error& error) {
    EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos) << error.what();
    return error.what();
  } catch (const std::exception& other) {
    ADD_FAILURE() << "expected halftone::Error, found " << other.what();
    return "";
  }
  ADD_FAILURE() << "expected halftone::Error";
  return "";
}

}  // namespace halftone::testing

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << text
