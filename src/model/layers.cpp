#include "model/layers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <numbers>

#include "model/compute.h"
#include "model/fused_layers.h"
#include "model/row_access.h"

namespace halftone {
namespace {

// (length, length), true where position i may see position j.
at::Tensor sliding_mask(int64_t length, int64_t window, at::Device device) {
  const at::Tensor position = at::arange(length, at::device(device).dtype(at::kLong));
  const at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  return distance.ge(0).logical_and(distance.lt(window));
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (lies_in_rows(x) && lies_in_rows(weight) && x.scalar_type() == weight.scalar_type())
    return fused_rms_norm(x, weight, epsilon);
  const at::Tensor wide = widened(x);
  const at::Tensor scale = at::rsqrt(wide.square().mean({-1}, true) + epsilon);
  return (wide * scale).to(x.scalar_type()) * weight;
}

// Llama-3: transformers' modeling_rope_utils, _compute_llama3_parameters.
std::vector<double> rope_frequencies(const RopeOptions& options) {
  const RopeScaling& scaling = options.scaling;
  std::vector<double> frequencies;
  for (int64_t i = 0; i < options.dim; i += 2) {
    double f = std::pow(options.theta, -static_cast<double>(i) / static_cast<double>(options.dim));
    if (scaling.kind == RopeScaling::Kind::kLinear) f /= scaling.factor;
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
  const std::vector<double> frequencies = rope_frequencies(options);
  const at::Tensor angle =
      at::outer(at::arange(length, at::kDouble), at::tensor(frequencies, at::kDouble));
  const at::Tensor both = at::cat({angle, angle}, 1);
  return {both.cos().to(device, dtype), both.sin().to(device, dtype)};
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor turned = at::cat({x.narrow(-1, half, half).neg(), x.narrow(-1, 0, half)}, -1);
  return x * table.cos + turned * table.sin;
}

at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const RopeTable& table, const AttentionOptions& options) {
  const int64_t batch = q.size(0), length = q.size(1);
  const auto by_head = [&](const at::Tensor& x, int64_t heads) {
    return x.view({batch, length, heads, options.head_dim}).transpose(1, 2);
  };
  const auto turned = [&](const at::Tensor& x, int64_t heads) {
    return lies_in_rows(x) ? fused_rope(x, heads, table) : apply_rope(by_head(x, heads), table);
  };
  const at::Tensor queries = turned(q, options.heads);
  // on the CPU the library's attention shares keys and values among queries; backward it is faster
  // on copies, and on other devices not all of its kernels can share
  const int64_t sharing = options.heads / options.kv_heads;
  const bool backward = at::GradMode::is_enabled() && q.requires_grad();
  const bool copied = sharing > 1 && (backward || !q.is_cpu());
  const auto for_every_query = [&](const at::Tensor& x) {
    return copied ? x.repeat_interleave(sharing, 1) : x;
  };
  const at::Tensor keys = for_every_query(turned(k, options.kv_heads));
  const at::Tensor values = for_every_query(by_head(v, options.kv_heads));
  const bool windowed = options.window > 0 && options.window < length;
  std::optional<at::Tensor> mask;
  if (windowed) mask = sliding_mask(length, options.window, q.device());
  const at::Tensor mixed =
      at::scaled_dot_product_attention(queries, keys, values, mask, /*dropout_p=*/0.0,
                                       /*is_causal=*/!windowed, /*scale=*/std::nullopt,
                                       /*enable_gqa=*/sharing > 1 && !copied);
  return mixed.transpose(1, 2).reshape({batch, length, options.heads * options.head_dim});
}

at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up) {
  if (lies_in_rows(gate) && lies_in_rows(up)) return fused_gated_silu(gate, up);
  return at::silu(gate) * up;
}

}  // namespace halftone
