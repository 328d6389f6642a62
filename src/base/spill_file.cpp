#include "base/spill_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace halftone {
namespace {

constexpr size_t kMostAtOnce = size_t{1} << 30;  // a system call moves at most 2^31 bytes

}  // namespace

SpillFile::~SpillFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SpillFile::open() {
  std::string name = (folder_ / ".halftone-spill-XXXXXX").string();
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  require(descriptor_ >= 0, "{}: no temporary file can be made here: {}",
          printable(folder_.string(), 400), std::strerror(errno));
  ::unlink(name.c_str());
}

int64_t SpillFile::write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) open();
  std::vector<int64_t>& places = free_[bytes.size()];
  const bool fresh = places.empty();
  const int64_t begin = fresh ? size_ : places.back();
  for (int64_t offset = begin; !bytes.empty();) {
    const ssize_t put =
        ::pwrite(descriptor_, bytes.data(), std::min(bytes.size(), kMostAtOnce), offset);
    if (put < 0 && errno == EINTR) continue;
    require(put > 0, "{}: data cannot be put aside after {} bytes: {} ({})",
            printable(folder_.string(), 400), offset, std::strerror(errno), remedy_);
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += put;
    size_ = std::max(size_, offset);
  }
  if (!fresh) places.pop_back();
  return begin;
}

void SpillFile::read(int64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data(), std::min(bytes.size(), kMostAtOnce), offset);
    if (got < 0 && errno == EINTR) continue;
    require(got > 0, "{}: data put aside cannot be read back: {}", printable(folder_.string(), 400),
            got < 0 ? std::strerror(errno) : "the file ends");
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

}  // namespace halftone
