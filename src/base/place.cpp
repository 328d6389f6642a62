#include "base/place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace halftone {
namespace fs = std::filesystem;
namespace {

constexpr int kMostLinks = 40;  // as Linux

// Without a trailing slash, "." and "..". What ".." means behind a link only the file system knows.
fs::path normal(const fs::path& path) {
  const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
  fs::path result = path.lexically_normal();
  if (!result.has_filename() && result.has_relative_path()) result = result.parent_path();
  if (!climbs && result != ".") return result;
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  const fs::path real = error ? fs::path() : fs::weakly_canonical(whole, error);
  if (error) return result;
  return !real.has_filename() && real.has_relative_path() ? real.parent_path() : real;
}

// Links of /proc/PID/fd name an open file, which has no place of its own.
bool is_descriptor(const fs::path& link) {
  std::error_code error;
  const fs::path folder = fs::canonical(link.has_parent_path() ? link.parent_path() : ".", error);
  return !error && folder.string().starts_with("/proc/") && fs::is_symlink(link, error);
}

fs::path absolute_place(const fs::path& path) {
  std::error_code error;
  const fs::path place = fs::absolute(place_of(path), error);
  const fs::path whole = fs::weakly_canonical(place, error);
  return error ? place : whole;
}

bool is_mount_point(const fs::path& place) {
  struct statx info {};
  return ::statx(AT_FDCWD, place.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// In a folder such as /tmp only an owner may rename.
bool is_anothers(const fs::path& place) {
  struct stat own {
  }, folder{};
  if (::lstat(place.c_str(), &own) != 0 || ::stat(parent_of(place).c_str(), &folder) != 0)
    return false;
  const uid_t user = ::geteuid();
  return (folder.st_mode & S_ISVTX) != 0 && user != 0 && user != own.st_uid &&
         user != folder.st_uid;
}

}  // namespace

std::string shown(const fs::path& path) {
  return printable(path.string(), 400);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

fs::path place_of(const fs::path& path) {
  if (path.empty()) return path;
  fs::path place = normal(path);
  std::error_code error;
  for (int links = 0; fs::is_symlink(place, error) && !is_descriptor(place); ++links) {
    require(links < kMostLinks, "{}: {}", shown(path), std::strerror(ELOOP));
    const fs::path target = fs::read_symlink(place, error);
    require(!error, "{}: {}", shown(place), error.message());
    place = normal(place.parent_path() / target);
  }
  return place;
}

fs::path parent_of(const fs::path& path) {
  const fs::path place = place_of(path);
  return place.has_parent_path() ? place.parent_path() : fs::path(".");
}

std::string last_name(const fs::path& path) {
  const std::string name = normal(path).filename().string();
  return name.empty() ? path.string() : name;
}

PlaceKind kind_at(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const int cause = errno;
    require(cause == ENOENT || cause == ENOTDIR, "{}: {}", shown(path), std::strerror(cause));
    return PlaceKind::kNothing;
  }
  if (S_ISDIR(info.st_mode)) return PlaceKind::kFolder;
  if (S_ISSOCK(info.st_mode) || S_ISBLK(info.st_mode)) return PlaceKind::kOther;
  return S_ISREG(info.st_mode) && !is_descriptor(place_of(path)) ? PlaceKind::kFile
                                                                 : PlaceKind::kStream;
}

const char* name_of(PlaceKind kind) {
  switch (kind) {
    case PlaceKind::kNothing:
      return "nothing";
    case PlaceKind::kFile:
      return "a file";
    case PlaceKind::kFolder:
      return "a folder";
    case PlaceKind::kStream:
      return "a device or a pipe";
    case PlaceKind::kOther:
      return "a socket or a disk";
  }
  return "";
}

bool lies_within(const fs::path& inner, const fs::path& outer) {
  const fs::path around = absolute_place(outer);
  std::error_code error;
  // names may differ where the file system says that two are one (mounts, upper and lower case)
  for (fs::path part = absolute_place(inner);; part = part.parent_path()) {
    if (part == around || fs::equivalent(part, around, error)) return true;
    if (!part.has_relative_path()) return false;
  }
}

void require_creatable(const fs::path& path) {
  const fs::path place = place_of(path), folder = parent_of(path);
  require(place.has_filename(), "{}: expected the name of something to write", shown(path));
  std::error_code error;
  require(fs::is_directory(folder, error), "{}: the folder {} does not exist", shown(path),
          shown(folder));
  // as long as the longest temporary name beside an output
  const fs::path probe = folder / fmt::format(".{}.partial-{}-old", place.filename().string(),
                                              static_cast<long>(::getpid()));
  const int descriptor = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int cause = errno;
  require(descriptor >= 0, "{}: nothing can be written into {}: {}", shown(path), shown(folder),
          std::strerror(cause));
  ::close(descriptor);
  ::unlink(probe.c_str());
}

void require_movable(const fs::path& path) {
  const fs::path place = place_of(path);
  require(!is_mount_point(place),
          "{}: is a mount point and cannot be replaced: expected a name inside it", shown(path));
  require(!is_anothers(place), "{}: belongs to another user and cannot be replaced", shown(path));
}

void require_writable_stream(const fs::path& path) {
  const bool writable = ::access(path.c_str(), W_OK) == 0;
  const int cause = errno;
  require(writable, "{}: cannot be written: {}", shown(path), std::strerror(cause));
}

void write_through(const fs::path& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
  int cause = descriptor < 0 ? errno : 0;
  while (descriptor >= 0 && !text.empty() && cause == 0) {
    const ssize_t put = ::write(descriptor, text.data(), std::min(text.size(), size_t{1} << 30));
    if (put > 0) text.remove_prefix(static_cast<size_t>(put));
    if (put < 0 && errno != EINTR) cause = errno;
  }
  if (descriptor >= 0) ::close(descriptor);
  require(cause == 0 || cause == EPIPE, "{}: cannot be written: {}", shown(path),
          std::strerror(cause));
}

}  // namespace halftone
