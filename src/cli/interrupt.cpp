#include "cli/interrupt.h"

#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "cli/console.h"
#include "cli/exit_status.h"

namespace halftone {
namespace {

// global, because a signal handler has no other way to be heard
std::atomic<bool> polled = false, requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);
sem_t wake_watcher;

extern "C" void on_signal(int) {
  if (!polled || requested.exchange(true)) ::_exit(kInterrupted);
  constexpr char kNote[] = "\nstopping; once more stops at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kNote, sizeof kNote - 1);
  ::sem_post(&wake_watcher);
}

void wait_for_wake() {
  while (::sem_wait(&wake_watcher) != 0 && errno == EINTR) {
  }
}

// Whether it was woken within `limit`.
bool is_woken_within(std::chrono::seconds limit) {
  struct timespec until {};
  ::clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += limit.count();
  int result = 0;
  do result = ::sem_timedwait(&wake_watcher, &until);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

void install_signal_handlers() {
  ::sem_init(&wake_watcher, /*pshared=*/0, 0);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

InterruptScope::InterruptScope(std::function<std::string()> abandon)
    : abandon_(std::move(abandon)), watcher_([this] { watch(); }) {
  polled = true;
}

InterruptScope::~InterruptScope() {
  polled = false;
  ::sem_post(&wake_watcher);  // the end of the scope, whether or not a signal came before
  watcher_.join();
}

void InterruptScope::watch() {
  wait_for_wake();
  if (!polled || is_woken_within(kPatience)) return;
  print_note(interrupted_note(abandon_ ? abandon_() : ""));
  ::_exit(kInterrupted);
}

bool interrupt_requested() {
  return requested;
}

std::string interrupted_note(const std::string& kept) {
  return fmt::format("halftone: interrupted; {}", kept.empty() ? "nothing was written" : kept);
}

}  // namespace halftone
