// What becomes of work that does not notice Ctrl-C.
#include "cli/interrupt.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>

#include "support/fixtures.h"

namespace halftone {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using ::halftone::testing::TemporaryFolder;

// The exit status of a process that does `work` and would then end with 0.
template <class Work>
int status_of_process(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    install_signal_handlers();
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(InterruptScope, EndsWorkThatDoesNotNoticeTheSignal) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const TemporaryFolder folder;
    const auto start = Clock::now();
    const int status = status_of_process([&] {
      const InterruptScope scope([&] {
        std::ofstream(folder / "abandoned") << "x";
        return std::string("the journal is kept");
      });
      ::raise(signal);
      std::this_thread::sleep_for(60s);
    });
    EXPECT_EQ(status, 130);
    EXPECT_TRUE(std::filesystem::exists(folder / "abandoned"));
    EXPECT_GE(Clock::now() - start, kPatience);
    EXPECT_LT(Clock::now() - start, 30s);
  }
}

TEST(InterruptScope, LeavesWorkAloneThatNoticesTheSignal) {
  const TemporaryFolder folder;
  const int status = status_of_process([&] {
    {
      const InterruptScope scope([&] {
        std::ofstream(folder / "abandoned") << "x";
        return std::string();
      });
      ::raise(SIGINT);
      while (!interrupt_requested()) std::this_thread::sleep_for(1ms);
    }
    std::this_thread::sleep_for(kPatience + 1s);  // nothing is watching any more
  });
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(std::filesystem::exists(folder / "abandoned"));
}

TEST(InterruptScope, ASecondSignalEndsTheProgramAtOnce) {
  const auto start = Clock::now();
  const int status = status_of_process([&] {
    const InterruptScope scope({});
    ::raise(SIGINT);
    ::raise(SIGTERM);
  });
  EXPECT_EQ(status, 130);
  EXPECT_LT(Clock::now() - start, kPatience);
}

TEST(InterruptScope, ASignalWhereNothingPollsEndsTheProgramAtOnce) {
  EXPECT_EQ(status_of_process([] { ::raise(SIGTERM); }), 130);
}

}  // namespace
}  // namespace halftone
