// Where and in which precision a model is run.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "kernels/products.h"

namespace halftone {

enum class Compute { kAuto, kFloat32, kBFloat16 };

// "auto", "float32", "bfloat16"; an Error lists them otherwise.
Compute parse_compute(const std::string& name);
// Of a dtype_name, as reports have it; kAuto for any other.
Compute compute_named(const std::string& dtype);

// "auto" (none) or one of kProductsNames; an Error lists them otherwise.
std::optional<Products> parse_products(const std::string& name);

struct Execution {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // of weights and activations
  int threads = 1;
  Products products = Products::kFloat32;  // of statistics and solving, where calibrating
};

// Seconds of one linear layer of a few tokens in each type on one thread, least of a few; measured
// when first asked for and kept.
struct LinearTimes {
  double float32, bfloat16;
};
const LinearTimes& linear_times();

// device: "cpu", "cuda", "cuda:1". kAuto with `calibrating`: bfloat16 where that is clearly faster
// (CUDA; kernels/products.h says what clearly is), else float32; without: float32. threads 0: all
// cores this process may use; also sets torch's. products: of a calibrating run, which uses them
// from here on; none: the fastest. Errors: an unknown or absent device, threads outside [0, 1024],
// products that the library does not have.
Execution choose_execution(const std::string& device, Compute compute, int threads,
                           bool calibrating, std::optional<Products> products = {});

std::string dtype_name(at::ScalarType dtype);  // "float32", "bfloat16", "float16", "float64"

// Sums and exponentials of x are taken in this: float64 for float64, else float32.
at::ScalarType wide_type(const at::Tensor& x);
at::Tensor widened(const at::Tensor& x);  // x in it

}  // namespace halftone
