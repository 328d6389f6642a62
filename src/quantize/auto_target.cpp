#include "quantize/auto_target.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cassert>
#include <memory>

#include "matrix/quadratic_form.h"

namespace halftone {
namespace {

double inner_product(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(at::kDouble).item<double>();
}

// What the held-out tokens say about one linear's weights, whatever they become.
struct HeldOutWeight {
  at::Tensor weight;     // (out, in) W
  at::Tensor hessian;    // (in, in) H
  at::Tensor drifted;    // (out, in) W D
  double constant = 0;   // |W dX^T|^2
  double magnitude = 0;  // |W Xf^T|^2
};

HeldOutWeight held_out_weight(const at::Tensor& weight, const HeldOutInputs& held_out) {
  HeldOutWeight result{weight, held_out.hessian,
                       weight.mm(held_out.cross_moment.to(weight.scalar_type()))};
  result.constant = quadratic_form(weight, held_out.drift);
  result.magnitude = quadratic_form(weight, held_out.hessian) +
                     2 * inner_product(result.drifted, weight) + result.constant;
  return result;
}

double error_of(const HeldOutWeight& of, const at::Tensor& quantized) {
  const at::Tensor error = of.weight - quantized;
  const double distance =
      quadratic_form(error, of.hessian) + 2 * inner_product(error, of.drifted) + of.constant;
  return of.magnitude > 0 ? distance / of.magnitude : 0;
}

}  // namespace

std::span<const TargetOptions> target_candidates() {
  static constexpr std::array<TargetOptions, 7> candidates = {{{},
                                                               {.preshift = 0.25},
                                                               {.preshift = 0.5},
                                                               {.preshift = 1},
                                                               {.alpha = 0.25},
                                                               {.alpha = 1},
                                                               {.alpha = 0.25, .alpha2 = 0.25}}};
  return candidates;
}

std::string describe(const TargetOptions& target) {
  std::string text;
  const auto add = [&](const char* name, double value) {
    if (value != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  };
  add("preshift", target.preshift);
  add("alpha", target.alpha);
  add("alpha2", target.alpha2);
  return text.empty() ? "plain" : text;
}

double held_out_error(const at::Tensor& weight, const at::Tensor& quantized,
                      const HeldOutInputs& held_out) {
  return error_of(held_out_weight(weight, held_out), quantized);
}

template <class T>
LinearOutcome solve_best_target(const SharedInputs& inputs, const LinearTask& task) {
  assert(inputs.runs() == 1 && inputs.run(0)->held_out.has_value());
  const std::shared_ptr<const SharedInput> shared = inputs.run(0);
  LinearTask trial = task;
  if (shared->shift) trial.shift = shared->shift->of(task.weight);
  const auto solve = [&](const TargetOptions& target) {
    trial.target = target;
    trial.target.fit = task.target.fit;
    return solve_linear<T>(inputs, trial);
  };
  if (!shared->factor.upper.defined()) return solve({});
  const HeldOutWeight of = held_out_weight(task.weight, *shared->held_out);
  LinearOutcome best;
  std::vector<TargetTrial> trials;
  double least = 0;
  for (const TargetOptions& target : target_candidates()) {
    LinearOutcome outcome = solve(target);
    const double error = error_of(of, dequantize(outcome.quantized).to(task.weight.scalar_type()));
    if (trials.empty() || error < least) {
      best = std::move(outcome);
      best.target = describe(target);
      least = error;
    }
    trials.push_back({describe(target), error});
  }
  best.trials = std::move(trials);
  return best;
}
template LinearOutcome solve_best_target<float>(const SharedInputs&, const LinearTask&);
template LinearOutcome solve_best_target<double>(const SharedInputs&, const LinearTask&);

}  // namespace halftone
