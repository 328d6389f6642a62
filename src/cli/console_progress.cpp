#include "cli/console_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "report/human.h"

namespace halftone {
namespace {

using namespace std::chrono_literals;

constexpr auto kRedraw = 100ms;
constexpr auto kBetweenLines = 5s;
constexpr int kBarColumns = 24, kUsualColumns = 80;

bool is_terminal() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

size_t terminal_columns() {
  struct winsize size {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsualColumns;
}

}  // namespace

double seconds_at_this_rate(double seconds, int64_t done, int64_t before) {
  return done > before ? seconds * static_cast<double>(done) / static_cast<double>(done - before)
                       : -1;
}

std::string progress_line(std::string_view step, int64_t done, int64_t total,
                          std::string_view detail, double seconds, int bar) {
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0;
  std::string line(step);
  if (bar > 0) {
    const int full = static_cast<int>(share * bar);
    line += fmt::format(" [{:#<{}}{:-<{}}]", "", full, "", bar - full);
  }
  line += fmt::format(" {}/{}", done, total);
  if (share > 0 && share < 1 && seconds >= 0)
    line += fmt::format(", {} left", human_duration(seconds / share * (1 - share)));
  if (!detail.empty()) line += fmt::format(", {}", printable(detail));
  return line;
}

ConsoleProgress::ConsoleProgress(std::function<std::string()> abandon)
    : interrupts_(std::move(abandon)), live_(is_terminal()) {}

ConsoleProgress::~ConsoleProgress() {
  clear();
}

void ConsoleProgress::begin(std::string_view step, int64_t total) {
  if (interrupt_requested()) throw Interrupted{};
  step_ = step;
  total_ = total;
  before_ = 0;
  start_ = Clock::now();
  if (last_ == Clock::time_point{} || live_ || start_ - last_ >= kBetweenLines) draw(0, "");
}

void ConsoleProgress::start_at(int64_t done) {
  before_ = done;
  if (live_) draw(done, "");
}

void ConsoleProgress::update(int64_t done, std::string_view detail) {
  if (interrupt_requested()) throw Interrupted{};
  if (Clock::now() - last_ >= (live_ ? Clock::duration(kRedraw) : Clock::duration(kBetweenLines)))
    draw(done, detail);
}

void ConsoleProgress::end() {
  clear();
}

void ConsoleProgress::draw(int64_t done, std::string_view detail) {
  last_ = Clock::now();
  const double seconds =
      seconds_at_this_rate(std::chrono::duration<double>(last_ - start_).count(), done, before_);
  const std::string line =
      progress_line(step_, done, total_, detail, seconds, live_ ? kBarColumns : 0);
  if (!live_) {
    fmt::print(stderr, "{}\n", line);
    return;
  }
  fmt::print(stderr, "\r\x1b[K{}", printable(line, terminal_columns() - 4));
  std::fflush(stderr);
  drawn_ = true;
}

void ConsoleProgress::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace halftone
