// QuaRot's offline rotation (methods.md 8.1, steps 0-4): the same function, with weights and
// activations free of outliers.
//
// Norm scales are folded into the linears behind them; the residual stream is rotated by Q =
// diag(+-1) Had; the value and output projections of each head by Had_head. Nothing is left to do
// at run time, unless the inputs of product writers (down projections) are to be rotated as well
// (methods.md 8.2, step 5): then the network multiplies them as config() tells it to. Ashkboos et
// al. 2024, arXiv 2404.00456.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoint/weight_source.h"
#include "matrix/orthogonal.h"
#include "model/family.h"

namespace halftone {

struct RotationOptions {
  uint64_t seed = 0;
  bool online = false;                // product writers too: W <- W Had, z <- z Had as it runs
  at::ScalarType dtype = at::kFloat;  // of the weights handed out
};

// The weights of `source`, rotated when they are loaded; computed in float64, nothing is kept. Tied
// embeddings are untied: the final norm's scale goes into the head alone.
class RotatedWeights final : public WeightSource {
 public:
  // config: of a Model over `source`. Errors: a family that cannot be rotated.
  RotatedWeights(std::shared_ptr<const WeightSource> source, const Family& family,
                 const ModelConfig& config, const RotationOptions& options);

  const nlohmann::json& config() const override { return json_; }
  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override;
  WeightInfo info(std::string_view name) const override;
  at::Tensor load(std::string_view name) const override;
  // Rotates these rows alone, where the tensor's rows have nothing to do with each other.
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const override;
  void release(std::string_view name) const override;

 private:
  const NamedTensor& place_of(std::string_view name) const;
  // The name under which the source holds it: a tied head has no tensor of its own.
  std::string source_name(std::string_view name) const;
  at::Tensor stored(const std::string& name) const;  // float64
  // weight: float64, the tensor or rows of it
  at::Tensor rotated(const NamedTensor& place, const at::Tensor& weight) const;
  at::Tensor rotate_bias(const NamedTensor& place, const at::Tensor& bias) const;
  at::Tensor folded(const NamedTensor& place, const at::Tensor& weight) const;
  at::Tensor rotate_in(const at::Tensor& weight) const;   // W Q
  at::Tensor rotate_out(const at::Tensor& weight) const;  // Q^T W, of a matrix or a bias
  at::Tensor rotate_heads(
      const at::Tensor& values) const;  // Had_head along the last dimension, head by head

  std::shared_ptr<const WeightSource> source_;
  const Family& family_;
  ModelConfig config_;
  nlohmann::json json_;
  at::ScalarType dtype_;
  at::Tensor signs_;  // (hidden) float64
  KroneckerMatrix residual_, head_;
  std::optional<KroneckerMatrix> product_;  // of product writers, with an online rotation
  std::map<std::string, NamedTensor, std::less<>> places_;
};

}  // namespace halftone
