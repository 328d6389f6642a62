// Progress on stderr: a live bar on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <string>

#include "base/progress.h"
#include "cli/interrupt.h"

namespace halftone {

class ConsoleProgress final : public Progress {
 public:
  // abandon: as in InterruptScope.
  explicit ConsoleProgress(std::function<std::string()> abandon = {});
  ~ConsoleProgress() override;
  void begin(std::string_view step, int64_t total) override;
  void start_at(int64_t done) override;
  void update(int64_t done, std::string_view detail) override;
  void end() override;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(int64_t done, std::string_view detail);
  void clear();

  InterruptScope interrupts_;
  bool live_, drawn_ = false;
  std::string step_;
  int64_t total_ = 0, before_ = 0;
  Clock::time_point start_, last_;
};

// What `done` units would have taken if those `before` had not been done already; -1 where nothing
// tells.
double seconds_at_this_rate(double seconds, int64_t done, int64_t before);

// "quantize [####----] 12/210, 3 min 20 s left, model.layers.0.mlp.up_proj"; without a bar if `bar`
// is 0 columns wide, without a time if `seconds` is negative.
std::string progress_line(std::string_view step, int64_t done, int64_t total,
                          std::string_view detail, double seconds, int bar);

}  // namespace halftone
