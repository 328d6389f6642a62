// What the fuzz entries share. An entry hands bytes to one reader of outside bytes and holds it to
// the contract of base/error.h: it returns, or it throws halftone::Error with one line of text.
// Whatever else leaves it, or makes a sanitizer speak, ends the program.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace halftone::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return std::as_bytes(std::span(data, size));
}

// Ends the program where something holds that must not.
inline void expect(bool ok) {
  if (!ok) std::abort();
}

inline bool is_one_line(std::string_view message) {
  return !message.empty() && std::all_of(message.begin(), message.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  });
}

// Always 0, as libFuzzer wants it.
template <class Read>
int check(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    expect(is_one_line(error.what()));
  }
  return 0;
}

// A file in memory, for readers that take paths: two system calls to write it anew.
class MemoryFile {
 public:
  MemoryFile()
      : descriptor_(::memfd_create("input", 0)),
        path_("/proc/self/fd/" + std::to_string(descriptor_)) {
    expect(descriptor_ >= 0);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::filesystem::path& holding(std::string_view bytes) {
    expect(::pwrite(descriptor_, bytes.data(), bytes.size(), 0) ==
           static_cast<ssize_t>(bytes.size()));
    expect(::ftruncate(descriptor_, static_cast<off_t>(bytes.size())) == 0);
    return path_;
  }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

// The same under a name of its own, in a folder that all files of the process share.
class NamedFile {
 public:
  explicit NamedFile(const char* name) : link_(folder() / name) {
    std::filesystem::create_symlink(file_.holding(""), link_);
  }
  ~NamedFile() {
    std::error_code ignored;
    std::filesystem::remove(link_, ignored);
    std::filesystem::remove(link_.parent_path(), ignored);  // by the last one
  }
  NamedFile(const NamedFile&) = delete;
  NamedFile& operator=(const NamedFile&) = delete;

  const std::filesystem::path& holding(std::string_view bytes) {
    (void)file_.holding(bytes);
    return link_;
  }

 private:
  static const std::filesystem::path& folder() {
    static const std::filesystem::path folder = [] {
      std::string name = std::filesystem::temp_directory_path() / "halftone-fuzz-XXXXXX";
      expect(::mkdtemp(name.data()) != nullptr);
      return name;
    }();
    return folder;
  }

  MemoryFile file_;
  std::filesystem::path link_;
};

}  // namespace halftone::fuzz
