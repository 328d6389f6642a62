#include "base/spill_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string read(const SpillFile& file, int64_t offset, size_t size) {
  std::string text(size, ' ');
  file.read(offset, std::as_writable_bytes(std::span(text.data(), size)));
  return text;
}

TEST(SpillFile, GivesBackWhatWasWrittenAndLeavesNothing) {
  const TemporaryFolder folder;
  SpillFile file(folder.path());
  const int64_t a = file.write(bytes_of("first")), b = file.write(bytes_of("second"));
  EXPECT_EQ(read(file, b, 6), "second");
  EXPECT_EQ(read(file, a, 5), "first");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));  // it has no name, even while in use
}

TEST(SpillFile, ReusesReleasedPlacesOfTheSameSize) {
  const TemporaryFolder folder;
  SpillFile file(folder.path());
  const int64_t a = file.write(bytes_of("first"));
  file.release(a, 5);
  EXPECT_NE(file.write(bytes_of("longer")), a);
  EXPECT_EQ(file.write(bytes_of("other")), a);
  EXPECT_EQ(read(file, a, 5), "other");
  EXPECT_EQ(file.size(), 11);
}

TEST(SpillFile, AMissingFolderIsAnErrorAtTheFirstWrite) {
  const TemporaryFolder folder;
  SpillFile file(folder / "none");
  const std::string message = message_of([&] { (void)file.write(bytes_of("x")); });
  EXPECT_NE(message.find("no temporary file can be made here"), std::string::npos) << message;
}

TEST(SpillFile, AFullDiskIsAnError) {
  const TemporaryFolder folder;
  SpillFile file(folder.path(), "raise the limit");
  // a limit on the size of files stands in for a full disk
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message =
      message_of([&] { (void)file.write(bytes_of(std::string(10000, 'x'))); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("cannot be put aside after 4096 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("(raise the limit)"), std::string::npos) << message;
}

}  // namespace
}  // namespace halftone
