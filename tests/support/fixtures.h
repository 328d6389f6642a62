// Where test data lies. tests/data travels with the project; the larger shared data may be absent.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>

namespace halftone::testing {

inline std::filesystem::path test_data(const std::string& name) {
  return std::filesystem::path(HALFTONE_TEST_DATA) / name;
}

inline std::filesystem::path shared_data(const std::string& name) {
  return std::filesystem::path(HALFTONE_SHARED_DATA) / name;
}

// A fresh folder, removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "halftone-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Runs `work`, which must throw halftone::Error (or its like); returns the message.
template <class Work>
std::string message_of(Work&& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

}  // namespace halftone::testing

// Skips the running test, by name, where the shared data is absent.
#define HALFTONE_REQUIRE_SHARED(name)                                 \
  if (!std::filesystem::exists(halftone::testing::shared_data(name))) \
  GTEST_SKIP() << "shared data not here: " << halftone::testing::shared_data(name)
