#include "calibrate/expert_pool.h"

#include <ATen/ATen.h>

#include <map>
#include <vector>

namespace halftone {
namespace {

// Of one kind of linears, an entry an expert.
using Kind = std::vector<LinearStatistics*>;

// "down_proj" of "mlp.experts.3.down_proj"
std::string name_in_expert(const LinearSlot& linear) {
  return linear.relative.substr(linear.relative.rfind('.') + 1);
}

// The mean over tokens; undefined: no expert has one.
at::Tensor mean_of(const Kind& kind, at::Tensor LinearStatistics::*matrix, double tokens) {
  at::Tensor sum;
  for (const LinearStatistics* own : kind) {
    const at::Tensor& one = own->*matrix;
    if (!one.defined()) continue;
    sum = sum.defined() ? sum.add_(one) : one.clone();
  }
  return sum.defined() ? sum.div_(tokens) : sum;
}

at::Tensor diagonal_of(const at::Tensor& matrix) {
  return at::diag_embed(matrix.diagonal(0, -2, -1));
}

void pool_kind(const Kind& kind, double pool) {
  double tokens = 0;
  for (const LinearStatistics* own : kind) tokens += static_cast<double>(own->tokens);
  if (tokens == 0) return;
  const at::Tensor hessian = mean_of(kind, &LinearStatistics::hessian, tokens),
                   moment = mean_of(kind, &LinearStatistics::cross_moment, tokens);
  const double share = pool * static_cast<double>(hessian.size(-1));
  for (LinearStatistics* own : kind) {
    if (own->tokens == 0) {
      own->hessian = diagonal_of(hessian);
      own->fallback = "rounded to nearest: no token of the calibration came to this expert";
    } else if (share > 0) {
      own->hessian = own->hessian + hessian * share;
      if (moment.defined()) own->cross_moment = own->cross_moment + moment * share;
    }
  }
}

}  // namespace

void pool_experts(std::span<const LinearSlot> linears, double pool, StageStatistics& statistics) {
  std::map<size_t, LinearStatistics*> inputs;  // that experts share among their linears
  std::map<std::string, Kind> kinds;
  for (const LinearSlot& linear : linears) {
    if (linear.expert < 0) continue;
    const auto own = statistics.linears.find(linear.name);
    if (own == statistics.linears.end()) {
      if (statistics.inputs[linear.input].hessian.defined())
        inputs[linear.input] = &statistics.inputs[linear.input];
    } else if (own->second.hessian.defined() && own->second.fallback.empty()) {
      kinds[name_in_expert(linear)].push_back(&own->second);
    }
  }
  for (const auto& [input, own] : inputs) kinds[""].push_back(own);
  for (const auto& [name, kind] : kinds) pool_kind(kind, pool);
}

}  // namespace halftone
