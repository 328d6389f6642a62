#include "pipeline/noise_floor.h"

#include <algorithm>

#include "evaluate/statistics.h"

namespace halftone {
namespace {

constexpr double kWorthAsking = 0.05;  // nats; floors are some thousandths
constexpr double kMatters = 10;        // times the floor
constexpr int64_t kTokens = 4096;      // of the text are enough for a floor
constexpr double kSlow = 16;           // times as slow in bfloat16 as in float32

TokenWindows first_of(const TokenWindows& windows) {
  TokenWindows first = windows;
  first.count = std::clamp<int64_t>(kTokens / windows.length, 1, windows.count);
  first.ids.resize(static_cast<size_t>(first.count * first.length));
  return first;
}

// Rounding is done by whatever the library has; where that is an emulation it is right, and slow.
bool is_slow(const Execution& execution) {
  return execution.device.is_cpu() && linear_times().bfloat16 > kSlow * linear_times().float32;
}

NoiseFloor measured(const Model& reference, const TokenWindows& windows, const Execution& execution,
                    Progress& progress) {
  Execution rounded = execution;
  rounded.dtype = at::kBFloat16;
  const TokenWindows few = first_of(windows);
  const Scores scores = score_arithmetic(reference, few, rounded, execution, progress);
  return {mean_over_windows(scores.kl, few.count).value,
          mean_over_windows(scores.same_top, few.count).value, few.count};
}

}  // namespace

void add_noise_floor(const Model& reference, const TokenWindows& windows,
                     const Execution& execution, Progress& progress,
                     std::optional<NoiseFloor>& known, nlohmann::json& result) {
  const double kl = result.at("kl").at("mean");
  if (execution.dtype != at::kFloat || !(kl > 0 && kl < kWorthAsking) || is_slow(execution)) return;
  if (!known) known = measured(reference, windows, execution, progress);
  if (!(kl < kMatters * known->kl)) return;
  result["noise_floor"] = {{"kl", known->kl}, {"top1", known->top1}, {"windows", known->windows}};
}

}  // namespace halftone
