// What the arithmetic of a plan counts (methods.md 12.3): of a run, of its blocks and their stages.
#pragma once

#include <span>
#include <vector>

#include "pipeline/quantize_job.h"

namespace halftone {

inline double number(int64_t value) {
  return static_cast<double>(value);
}

inline constexpr int64_t kCheckedLength = 512;  // of four windows (pipeline/self_check.cpp)
inline constexpr double kCheckedTokens = 4 * kCheckedLength;

bool is_calibrated(const QuantizeJob& job);
bool has_gradients(const QuantizeJob& job);
double streams(const QuantizeJob& job);  // 2 where the full-precision one runs too

double weights_of(std::span<const LinearSlot> linears);

// The inputs of a stage's linears, each once; of a mixture its experts'.
struct StageWidth {
  int64_t width = 0;
  double tokens = 1;  // the share of them that comes to it
};
std::vector<StageWidth> inputs_of_stage(const Model& model, int64_t block, int stage);
// The share of all tokens that a linear sees: an expert's are those sent to it.
double token_share(const Model& model, const LinearSlot& linear);

}  // namespace halftone
