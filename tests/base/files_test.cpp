#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;

// The number of a process that was and is no more.
pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

TEST(FileLock, IsHeldByOneAtATime) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  std::optional<FileLock> first(folder / "file");
  EXPECT_NE(message_of([&] { FileLock second(folder / "file"); }).find("another process"),
            std::string::npos);
  first.reset();
  EXPECT_NO_THROW(FileLock(folder / "file"));
  EXPECT_NE(message_of([&] { FileLock none(folder / "none"); }).find("cannot be opened"),
            std::string::npos);
}

TEST(RemoveAbandoned, TakesWhatDeadProcessesLeftAndNothingElse) {
  const TemporaryFolder folder;
  const std::string dead = std::to_string(dead_process()), alive = std::to_string(::getpid());
  const auto make = [&](const std::string& name) {
    fs::create_directory(folder / name);
    std::ofstream(folder / name / "file") << "x";
  };
  make(".out.partial-" + dead);
  const std::vector<std::string> others = {
      "out",
      ".out.partial-" + alive,
      ".out.partial-" + dead + "-old",  // what was at its place before
      ".out.partial-",
      ".out.partial-0",
      ".out.partial-x" + dead,
      ".other.partial-" + dead,
  };
  for (const std::string& name : others) make(name);
  remove_abandoned(folder / "out/");
  EXPECT_FALSE(fs::exists(folder / (".out.partial-" + dead)));
  for (const std::string& name : others) EXPECT_TRUE(fs::exists(folder / name)) << name;
}

}  // namespace
}  // namespace halftone
