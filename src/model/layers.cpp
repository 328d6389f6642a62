#include "model/layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/compute.h"
#include "model/fused_layers.h"
#include "model/row_access.h"

namespace halftone {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset) {
  if (lies_in_rows(x) && lies_in_rows(weight) && x.scalar_type() == weight.scalar_type())
    return fused_rms_norm(x, weight, epsilon, offset);
  const at::Tensor wide = widened(x);
  const at::Tensor scale = at::rsqrt(wide.square().mean({-1}, true) + epsilon);
  const at::Tensor normalized = (wide * scale).to(x.scalar_type());
  if (offset == 0) return normalized * weight;
  return (widened(normalized) * (widened(weight) + offset)).to(x.scalar_type());
}

at::Tensor rms_norm_of_parts(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                             double offset) {
  return rms_norm(x.unflatten(-1, {-1, weight.size(0)}), weight, epsilon, offset).flatten(-2);
}

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon) {
  return at::layer_norm(x, weight.sizes(), weight, bias, epsilon);
}

namespace {

// What YaRN keeps of each frequency's own value, 0 to 1: by its pair, from all of fast ones to
// nothing of slow ones.   -> dim / 2
std::vector<double> kept_by_yarn(const RopeOptions& options) {
  const RopeScaling& scaling = options.scaling;
  const auto dim = static_cast<double>(options.dim);
  // the pair that turns so often in the original context
  const auto pair_of = [&](double turns) {
    const auto context = static_cast<double>(scaling.original_context);
    return dim * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(options.theta));
  };
  double low = pair_of(scaling.fast_turns), high = pair_of(scaling.slow_turns);
  if (scaling.whole_pairs) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  std::vector<double> kept;
  for (int64_t i = 0; i < options.dim / 2; ++i)
    kept.push_back(1 - std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
  return kept;
}

}  // namespace

// Llama-3, LongRoPE (Ding et al. 2024, arXiv 2402.13753) and YaRN (Peng et al. 2023, arXiv
// 2309.00071): transformers' modeling_rope_utils, _compute_llama3_parameters,
// _compute_longrope_parameters and _compute_yarn_parameters.
std::vector<double> rope_frequencies(const RopeOptions& options, int64_t length) {
  const RopeScaling& scaling = options.scaling;
  const std::vector<double>& factors =
      length > scaling.original_context ? scaling.long_factors : scaling.short_factors;
  const bool yarn = scaling.kind == RopeScaling::Kind::kYarn;
  const std::vector<double> kept_of = yarn ? kept_by_yarn(options) : std::vector<double>();
  std::vector<double> frequencies;
  for (int64_t i = 0; i < options.dim; i += 2) {
    double f = std::pow(options.theta, -static_cast<double>(i) / static_cast<double>(options.dim));
    if (scaling.kind == RopeScaling::Kind::kLinear) f /= scaling.factor;
    if (scaling.kind == RopeScaling::Kind::kLong) f /= factors[static_cast<size_t>(i / 2)];
    if (yarn) {
      const double kept = kept_of[static_cast<size_t>(i / 2)];
      f = (1 - kept) * f / scaling.factor + kept * f;
    }
    if (scaling.kind == RopeScaling::Kind::kLlama3) {
      const double wavelength = 2 * std::numbers::pi / f;
      const double turns = static_cast<double>(scaling.original_context) / wavelength;
      const double t = (turns - scaling.low_frequency_factor) /
                       (scaling.high_frequency_factor - scaling.low_frequency_factor);
      const double kept = std::min(1.0, std::max(0.0, t));
      f = (1 - kept) * f / scaling.factor + kept * f;
    }
    frequencies.push_back(f);
  }
  return frequencies;
}

RopeTable make_rope_table(const RopeOptions& options, int64_t length, at::Device device,
                          at::ScalarType dtype) {
  const std::vector<double> frequencies = rope_frequencies(options, length);
  const at::Tensor angle =
      at::outer(at::arange(length, at::kDouble), at::tensor(frequencies, at::kDouble));
  const at::Tensor both = at::cat({angle, angle}, 1);
  const double amplitude = options.scaling.amplitude;
  return {(both.cos() * amplitude).to(device, dtype), (both.sin() * amplitude).to(device, dtype)};
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  const int64_t width = table.cos.size(-1), half = width / 2, rest = x.size(-1) - width;
  const at::Tensor from = rest == 0 ? x : x.narrow(-1, 0, width);
  const at::Tensor crossed =
      at::cat({from.narrow(-1, half, half).neg(), from.narrow(-1, 0, half)}, -1);
  const at::Tensor turned = from * table.cos + crossed * table.sin;
  return rest == 0 ? turned : at::cat({turned, x.narrow(-1, width, rest)}, -1);
}

at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up) {
  if (lies_in_rows(gate) && lies_in_rows(up)) return fused_gated_silu(gate, up);
  return at::silu(gate) * up;
}

at::Tensor activated(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
  }
  return x;
}

at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation) {
  return activation == Activation::kSilu ? gated_silu(gate, up) : activated(gate, activation) * up;
}

at::Tensor clamped_gate(const at::Tensor& gate, const at::Tensor& up, const GateClamp& clamp) {
  const at::Tensor below = gate.clamp_max(clamp.limit);
  return below * at::sigmoid(below * clamp.slope) * (up.clamp(-clamp.limit, clamp.limit) + 1);
}

at::Tensor soft_capped(const at::Tensor& x, double cap) {
  return cap > 0 ? (x / cap).tanh() * cap : x;
}

}  // namespace halftone
