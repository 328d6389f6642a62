// Ctrl-C and SIGTERM. Where work polls (an InterruptScope is alive) the first one asks it to stop,
// so that destructors remove what is half-written; a second one, or one where nothing polls, ends
// the program at once with status 130. Outputs get their final name by a rename only, so nothing
// half-written is ever found under it.
#pragma once

namespace halftone {

// Also ignores SIGPIPE: a closed pipe is seen where it is written to.
void install_signal_handlers();

class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

bool interrupt_requested();

}  // namespace halftone
