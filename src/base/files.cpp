#include "base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/place.h"

namespace halftone {
namespace fs = std::filesystem;
namespace {

// Of a call before: beside it, in the same argument list, it may be evaluated first.
std::string last_error() {
  return std::strerror(errno);
}

// A closed-on-exit descriptor of an existing regular file.
class Descriptor {
 public:
  explicit Descriptor(const fs::path& path) : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    require(value_ >= 0, "{}: cannot be opened: {}", shown(path), last_error());
    struct stat info {};
    const bool known = ::fstat(value_, &info) == 0;
    require(known, "{}: {}", shown(path), last_error());
    if (!S_ISREG(info.st_mode)) {
      ::close(value_);
      fail("{}: expected a file, found {}", shown(path),
           S_ISDIR(info.st_mode) ? "a folder" : "something else");
    }
    size_ = static_cast<size_t>(info.st_size);
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }
  size_t size() const { return size_; }

 private:
  int value_;
  size_t size_ = 0;
};

// Temporary names of an output: this and the number of a process.
fs::path staging_prefix(const fs::path& path) {
  const fs::path place = place_of(path);
  return place.parent_path() / fmt::format(".{}.partial-", place.filename().string());
}

fs::path beside(const fs::path& path) {
  return staging_prefix(path).string() + std::to_string(::getpid());
}

// Whether text is the number of a process that is no more.
bool is_dead_process(std::string_view text) {
  pid_t process = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), process);
  if (error != std::errc() || end != text.data() + text.size() || process <= 0) return false;
  return ::kill(process, 0) != 0 && errno == ESRCH;
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file(path);
  size_ = file.size();
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.value(), 0);
  require(data != MAP_FAILED, "{}: cannot be mapped: {}", shown(path), last_error());
  data_ = std::shared_ptr<const std::byte>(
      static_cast<const std::byte*>(data),
      [size = size_](const std::byte* begin) { ::munmap(const_cast<std::byte*>(begin), size); });
}

void MappedFile::require_unchanged() const {
  std::error_code error;
  const auto now = fs::file_size(path_, error);
  require(!error && now >= size_,
          "{}: had {} bytes when it was opened and {} now: changed while in use", shown(path_),
          size_, error ? 0 : now);
}

void MappedFile::release_pages(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
  if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string read_file(const fs::path& path, size_t limit) {
  const Descriptor file(path);
  require(file.size() <= limit, "{}: expected at most {} bytes, found {}", shown(path), limit,
          file.size());
  std::string content(file.size(), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::read(file.value(), content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, "{}: cannot be read: {}", shown(path), last_error());
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  content.resize(done);
  return content;
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  PendingOutput output(path, PendingOutput::Kind::kFile, true);
  OutputFile file(output.staging());
  file.write(content);
  file.close();
  output.commit();
}

void write_inside(const fs::path& path, size_t offset, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  require(descriptor >= 0, "{}: cannot be written: {}", shown(path), last_error());
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::pwrite(descriptor, bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) break;
    done += static_cast<size_t>(put);
  }
  const bool written = done == bytes.size() && ::fsync(descriptor) == 0;
  const std::string error = last_error();
  ::close(descriptor);
  require(written, "{}: cannot be written: {}", shown(path), error);
}

OutputFile::OutputFile(const fs::path& path)
    : path_(path),
      descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  require(descriptor_ >= 0, "{}: cannot be written: {}", shown(path), last_error());
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(path_.c_str());
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), std::min(bytes.size(), size_t{1} << 30));
    if (put < 0 && errno == EINTR) continue;
    require(put > 0, "{}: cannot be written: {}", shown(path_), last_error());
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void OutputFile::close() {
  const bool synced = ::fsync(descriptor_) == 0;
  require(synced, "{}: cannot be written: {}", shown(path_), last_error());
  const int result = ::close(descriptor_);
  descriptor_ = -1;
  require(result == 0, "{}: cannot be written: {}", shown(path_), last_error());
}

PendingOutput::PendingOutput(fs::path path, Kind kind, bool overwrite)
    : path_(place_of(path)), staging_(beside(path)), overwrite_(overwrite) {
  require(path_.has_filename(), "{}: expected the name of something to write", shown(path));
  std::error_code error;
  const fs::path parent = parent_of(path_);
  require(fs::is_directory(parent, error), "{}: the folder {} does not exist", shown(path_),
          shown(parent));
  const PlaceKind found = kind_at(path_);
  require(overwrite_ || found == PlaceKind::kNothing, "{}: already exists; --overwrite replaces it",
          shown(path_));
  const PlaceKind own = kind == Kind::kFolder ? PlaceKind::kFolder : PlaceKind::kFile;
  require(found == PlaceKind::kNothing || found == own, "{}: expected {}, found {}", shown(path_),
          name_of(own), name_of(found));
  fs::remove_all(staging_, error);
  if (kind == Kind::kFolder) {
    const bool created = fs::create_directory(staging_, error);
    require(created, "{}: cannot be created: {}", shown(staging_),
            error ? error.message() : "something is there");
  }
}

PendingOutput::~PendingOutput() {
  std::error_code error;
  if (!committed_) fs::remove_all(staging_, error);
}

void PendingOutput::commit() {
  std::error_code error;
  fs::path old = staging_;
  old += "-old";
  const bool replaces = fs::exists(fs::symlink_status(path_, error));
  require(!replaces || overwrite_, "{}: already exists; --overwrite replaces it", shown(path_));
  // a folder cannot be renamed over a full one: move the old one aside first, back again if that
  // fails
  if (replaces) {
    fs::rename(path_, old, error);
    require(!error, "{}: cannot be replaced: {}", shown(path_), error.message());
  }
  fs::rename(staging_, path_, error);
  if (error) {
    std::error_code ignored;
    if (replaces) fs::rename(old, path_, ignored);
    fail("{}: cannot be put in place: {}", shown(path_), error.message());
  }
  committed_ = true;
  sync_folder(path_.parent_path());
  if (replaces) fs::remove_all(old, error);
}

void remove_abandoned(const fs::path& path) {
  const fs::path prefix = staging_prefix(path);
  const std::string name = prefix.filename().string();
  std::error_code error;
  std::vector<fs::path> abandoned;
  const fs::path parent = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    const std::string found = entry.path().filename().string();
    if (found.starts_with(name) && is_dead_process(std::string_view(found).substr(name.size())))
      abandoned.push_back(entry.path());
  }
  for (const fs::path& folder : abandoned) fs::remove_all(folder, error);
}

void remove_own_pending(const fs::path& path) {
  std::error_code error;
  const fs::path staging = beside(path);
  fs::path old = staging;
  old += "-old";
  if (!fs::exists(fs::symlink_status(old, error))) fs::remove_all(staging, error);
}

// for writing, because NFS gives no exclusive lock otherwise
FileLock::FileLock(const fs::path& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
  require(descriptor_ >= 0, "{}: cannot be opened: {}", shown(path), last_error());
  // some file systems have no locks
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail("{}: another process is at work here", shown(path));
}

FileLock::~FileLock() {
  ::close(descriptor_);
}

size_t free_disk_bytes(const fs::path& path) {
  std::error_code error;
  fs::path place = fs::absolute(path, error);
  while (!fs::exists(place, error) && place.has_parent_path() && place != place.parent_path())
    place = place.parent_path();
  const auto info = fs::space(place, error);
  return error ? SIZE_MAX : static_cast<size_t>(info.available);
}

}  // namespace halftone
