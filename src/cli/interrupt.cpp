#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "cli/exit_status.h"

namespace halftone {
namespace {

// the program's only global state: a signal handler has no other way to be heard
std::atomic<bool> polled = false, requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int) {
  if (!polled || requested.exchange(true)) ::_exit(kInterrupted);
  constexpr char kNote[] = "\nstopping; once more stops at once\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kNote, sizeof kNote - 1);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

InterruptScope::InterruptScope() {
  polled = true;
}

InterruptScope::~InterruptScope() {
  polled = false;
}

bool interrupt_requested() {
  return requested;
}

}  // namespace halftone
