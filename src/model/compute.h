// Where and in which precision a model is run.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace halftone {

enum class Compute { kAuto, kFloat32, kBFloat16 };

// "auto", "float32", "bfloat16"; an Error lists them otherwise.
Compute parse_compute(const std::string& name);

struct Execution {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // of weights and activations
  int threads = 1;
};

// device: "cpu", "cuda", "cuda:1". kAuto with `calibrating`: bfloat16 where the device multiplies
// it natively (AMX or AVX512-BF16, CUDA), else float32; without: float32. threads 0: all cores this
// process may use; also sets torch's. Errors: an unknown or absent device, threads outside [0,
// 1024].
Execution choose_execution(const std::string& device, Compute compute, int threads,
                           bool calibrating);

std::string dtype_name(at::ScalarType dtype);  // "float32", "bfloat16", "float16", "float64"

// Sums and exponentials of x are taken in this: float64 for float64, else float32.
at::ScalarType wide_type(const at::Tensor& x);
at::Tensor widened(const at::Tensor& x);  // x in it

}  // namespace halftone
