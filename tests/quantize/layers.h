// Weights and Hessians to quantize in tests: invented ones and one real layer.
#pragma once

#include <ATen/ATen.h>

#include <random>

#include "calibrate/linear_statistics.h"
#include "quantize/linear_solver.h"
#include "reference_sweep.h"
#include "support/fixtures.h"
#include "support/read_safetensors.h"

namespace halftone::testing {

struct Layer {
  at::Tensor weight;   // (out, in) float64
  at::Tensor hessian;  // (in, in) float64

  LinearStatistics statistics() const { return {hessian, 1}; }
  LinearStatistics statistics32() const { return {hessian.to(at::kFloat), 1}; }
  at::Tensor weight32() const { return weight.to(at::kFloat); }
};

inline at::Tensor normal(std::initializer_list<int64_t> shape, uint64_t seed) {
  at::Tensor result = at::empty(shape, at::kDouble);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw;
  for (int64_t i = 0; i < result.numel(); ++i) result.mutable_data_ptr<double>()[i] = draw(random);
  return result;
}

// Correlated inputs, some channels much larger than others.
inline Layer random_layer(int64_t out, int64_t in, uint64_t seed = 1) {
  at::Tensor x = normal({3 * in, in}, seed)
                     .matmul(normal({in, in}, seed + 1) * 0.1 + at::eye(in, at::kDouble));
  x = x * at::exp(0.5 * normal({in}, seed + 2));
  return {normal({out, in}, seed + 3) * 0.05, x.t().matmul(x)};
}

// stories260K, down_proj of block 2: 64 x 172, and its input Hessian.
inline Layer real_layer() {
  const auto tensors = read_safetensors(test_data("methods/sweep.safetensors"));
  return {tensors.at("W").to(at::kDouble), tensors.at("H").to(at::kDouble)};
}

// SmolLM2-135M, 64 rows of k_proj of block 12: 64 x 576, and its input Hessian over 8 windows of C4
// (one channel of it 500 times as large as the mean). Made with transformers.
inline Layer smollm2_layer() {
  const auto tensors = read_safetensors(test_data("methods/smollm2_layer.safetensors"));
  const at::Tensor places = at::triu_indices(576, 576);
  at::Tensor upper = at::zeros({576, 576}, at::kDouble);
  upper.index_put_({places[0], places[1]}, tensors.at("H_upper").to(at::kDouble));
  return {tensors.at("W").to(at::kDouble), upper + at::triu(upper, 1).t()};
}

inline Matrix to_matrix(const at::Tensor& tensor) {
  const at::Tensor source = tensor.to(at::kDouble).contiguous();
  Matrix result(source.size(0), source.size(1));
  std::copy_n(source.const_data_ptr<double>(), source.numel(), result.values.begin());
  return result;
}

inline ReferenceResult reference_of(const Layer& layer, const LinearRecipe& recipe) {
  return reference_quantize(to_matrix(layer.weight), to_matrix(layer.hessian), recipe);
}

inline LinearOutcome quantize(const Layer& layer, const LinearRecipe& recipe, int threads = 2) {
  return LinearSolver(layer.statistics(), recipe, threads).quantize(layer.weight);
}

inline LinearOutcome quantize32(const Layer& layer, const LinearRecipe& recipe, int threads = 2) {
  return LinearSolver(layer.statistics32(), recipe, threads).quantize(layer.weight32());
}

inline int64_t count_differing(const at::Tensor& codes, const std::vector<int>& expected) {
  const at::Tensor flat = codes.contiguous();
  int64_t differing = 0;
  for (int64_t i = 0; i < flat.numel(); ++i)
    differing += flat.const_data_ptr<uint8_t>()[i] != expected[static_cast<size_t>(i)];
  return differing;
}

// 1 where the weight is kept outside the grid.   -> (out, in) bool
inline at::Tensor mask_of(const QuantizedLinear& linear) {
  at::Tensor mask = at::zeros({linear.out(), linear.in()}, at::kBool);
  if (!linear.outliers) return mask;
  const Outliers& outliers = *linear.outliers;
  for (int64_t row = 0; row < linear.out(); ++row)
    for (int64_t i = outliers.row_starts[row].item<int64_t>();
         i < outliers.row_starts[row + 1].item<int64_t>(); ++i)
      mask[row][outliers.columns[i].item<int64_t>()] = true;
  return mask;
}

// tr((W - What)(H + damping * mean diag) (W - What)^T), live columns only.
inline double damped_loss(const Layer& layer, const at::Tensor& quantized, double damping) {
  const at::Tensor diagonal = layer.hessian.diagonal();
  const double mean = diagonal.sum().item<double>() / (diagonal != 0).sum().item<double>();
  const at::Tensor d = layer.weight - quantized.to(at::kDouble);
  return (d.matmul(layer.hessian) * d).sum().item<double>() +
         damping * mean * (d * d).sum().item<double>();
}

}  // namespace halftone::testing
