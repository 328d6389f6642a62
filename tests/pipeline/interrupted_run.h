// Runs on the demo model (5 blocks of 7 linears) that stop on the way, and those that go on.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/progress.h"
#include "pipeline/quantize_model.h"

namespace halftone::testing {

inline constexpr int64_t kLinearsOfBlock = 7;

// Stops after so many linears, as Ctrl-C does, and remembers how many this run has quantized.
class StoppingProgress final : public Progress {
 public:
  explicit StoppingProgress(int64_t last = 1000) : last_(last) {}
  void begin(std::string_view step, int64_t) override { quantizes_ = step == "quantize"; }
  void start_at(int64_t done) override { before_ = done; }
  void update(int64_t done, std::string_view detail) override {
    if (!quantizes_ || detail.starts_with("gradients")) return;
    quantized_ = done - before_;
    if (done >= last_) throw Interrupted();
  }
  void end() override {}
  int64_t quantized() const { return quantized_; }

 private:
  int64_t last_, before_ = 0, quantized_ = 0;
  bool quantizes_ = false;
};

inline void interrupt(const QuantizeRequest& request, int64_t linears) {
  StoppingProgress progress(linears);
  EXPECT_THROW(quantize_model(request, progress), Interrupted);
}

inline nlohmann::json resume_run(QuantizeRequest request, int64_t expected_linears) {
  request.resume = true;
  StoppingProgress progress;
  nlohmann::json report = quantize_model(request, progress);
  EXPECT_EQ(progress.quantized(), expected_linears);
  return report;
}

}  // namespace halftone::testing
