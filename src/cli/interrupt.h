// Ctrl-C and SIGTERM. Where work polls (an InterruptScope is alive) the first one asks it to stop,
// so that destructors remove what is half-written. Work that does not poll in time, in the middle
// of one large factorization say, is ended by the scope's own thread: it removes what is
// half-written and ends the program with status 130, as do a second signal and one where nothing
// polls, at once. Outputs get their final name by a rename only and a lock ends with its process,
// so nothing half-written is ever found under a final name, however the program ends.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace halftone {

// What work has to notice the first signal.
inline constexpr std::chrono::seconds kPatience{3};

// Also ignores SIGPIPE: a closed pipe is seen where it is written to.
void install_signal_handlers();

class InterruptScope {
 public:
  // abandon: called on another thread when patience has run out; removes what the work has
  // half-written and returns what is kept of it for the message (empty: nothing). None where
  // nothing is written.
  explicit InterruptScope(std::function<std::string()> abandon);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  void watch();

  std::function<std::string()> abandon_;
  std::thread watcher_;
};

bool interrupt_requested();

// The program's last words, here and where an Interrupted is caught. kept: what is left to go on
// from; empty: nothing.
std::string interrupted_note(const std::string& kept);

}  // namespace halftone
