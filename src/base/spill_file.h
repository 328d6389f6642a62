// A temporary file without a name: gone when the program is, however it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace halftone {

class SpillFile {
 public:
  // folder: where the file lives; it is made at the first write. remedy: what the user can do where
  // the disk is full, for the error.
  explicit SpillFile(std::filesystem::path folder, std::string remedy = "free some disk")
      : folder_(std::move(folder)), remedy_(std::move(remedy)) {}
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  // Returns where the bytes lie. Errors: no such folder, no permission, a full disk.
  int64_t write(std::span<const std::byte> bytes);
  // Error: the file cannot be read.
  void read(int64_t offset, std::span<std::byte> bytes) const;
  // The place may be written over by bytes of the same size.
  void release(int64_t offset, size_t size) { free_[size].push_back(offset); }
  int64_t size() const { return size_; }

 private:
  void open();

  std::filesystem::path folder_;
  std::string remedy_;
  int descriptor_ = -1;
  int64_t size_ = 0;
  std::map<size_t, std::vector<int64_t>> free_;  // released places, by size
};

}  // namespace halftone
