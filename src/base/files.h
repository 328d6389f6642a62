// Files in and out: read-only mappings, and outputs that are complete or absent.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace halftone {

// A whole file mapped read-only; the mapping lives as long as any copy of this object.
class MappedFile {
 public:
  // Errors: missing, unreadable, not a regular file. An empty file maps to an empty span.
  explicit MappedFile(const std::filesystem::path& path);

  std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Keeps the mapping alive for a view that outlives this object (tensors made from it).
  std::shared_ptr<const std::byte> owner() const { return data_; }

  // Error if the file on disk has shrunk since it was mapped (reading on would raise SIGBUS).
  void require_unchanged() const;

  // Tells the kernel that these pages are not needed for now (they are read again from disk if
  // touched).
  void release_pages(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  std::shared_ptr<const std::byte> data_;
  size_t size_ = 0;
};

// A whole small file as a string. Errors: missing, unreadable, larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit = size_t{1} << 30);

// Writes beside `path`, syncs, renames. Error (disk full, no permission): nothing is left behind.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

// A file being written in order, with errors checked at every write ("No space left on device").
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  // Syncs to disk and closes; a file that was not closed is removed by the destructor.
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// Overwrites bytes of a file that is there, and syncs.
void write_inside(const std::filesystem::path& path, size_t offset, std::string_view bytes);

// An output (folder or file) that is written under a temporary name beside its place and renamed by
// `commit`; without `commit` (an error, Ctrl-C) the destructor removes it and whatever was at
// `path` is untouched.
class PendingOutput {
 public:
  enum class Kind { kFolder, kFile };
  // Error if `path` exists and `overwrite` is false, or if its parent folder does not exist or
  // cannot be written.
  PendingOutput(std::filesystem::path path, Kind kind, bool overwrite);
  ~PendingOutput();
  PendingOutput(const PendingOutput&) = delete;
  PendingOutput& operator=(const PendingOutput&) = delete;

  // Where to write until `commit`. For a folder: exists and is empty.
  const std::filesystem::path& staging() const { return staging_; }
  void commit();

 private:
  std::filesystem::path path_, staging_;
  bool overwrite_, committed_ = false;
};

// Removes what processes that were killed have left of a PendingOutput at `path`: folders beside it
// under a temporary name whose process is no more. What was at `path` before is never touched, nor
// what such a process had moved aside to replace it.
void remove_abandoned(const std::filesystem::path& path);

// The same for this process, which is about to end in the middle of its work.
void remove_own_pending(const std::filesystem::path& path);

// Held by one process at a time, until the end of the scope or of the process, however it ends (on
// a file system that has no locks: by everyone).
class FileLock {
 public:
  // path: an existing file. Error if another FileLock holds it.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_;
};

// Free bytes on the file system that holds `path` (or its nearest existing parent).
size_t free_disk_bytes(const std::filesystem::path& path);

}  // namespace halftone
