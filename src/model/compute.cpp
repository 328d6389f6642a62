#include "model/compute.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "kernels/mixed_product.h"

namespace halftone {
namespace {

double seconds_of_linear(const at::Tensor& x, const at::Tensor& weight) {
  const double start = processor_seconds();
  (void)at::linear(x, weight);
  return processor_seconds() - start;
}

// tokens, and width of input and output
LinearTimes measure_linear(int64_t tokens, int64_t width, int repetitions) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::ones({tokens, width}), weight = at::ones({width, width});
  const at::Tensor half_x = x.to(at::kBFloat16), half_weight = weight.to(at::kBFloat16);
  (void)at::linear(x, weight);
  (void)at::linear(half_x, half_weight);
  LinearTimes times{1e30, 1e30};
  for (int i = 0; i < repetitions; ++i) {
    times.float32 = std::min(times.float32, seconds_of_linear(x, weight));
    times.bfloat16 = std::min(times.bfloat16, seconds_of_linear(half_x, half_weight));
  }
  return times;
}

bool is_clear(const LinearTimes& times) {
  return times.float32 > kClearly * times.bfloat16;
}

bool computes_in_bfloat16(const at::Device& device) {
  return device.is_cuda() || is_clear(linear_times());
}

at::Device parse_device(const std::string& name) {
  std::optional<at::Device> device;
  try {
    device.emplace(name);
  } catch (const c10::Error&) {
  }
  require(device && (device->is_cpu() || device->is_cuda()),
          "--device {}: expected cpu, cuda or cuda:N", printable(name));
  if (device->is_cpu()) return at::Device(at::kCPU);
  const auto count = at::globalContext().hasCUDA() ? static_cast<int64_t>(at::getNumGPUs()) : 0;
  require(count > 0, "--device {}: this libtorch finds no CUDA device", name);
  const int64_t index = device->has_index() ? device->index() : 0;
  require(index < count, "--device {}: there are {} CUDA devices, numbered from 0", name, count);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

}  // namespace

Compute parse_compute(const std::string& name) {
  if (name == "auto") return Compute::kAuto;
  if (name == "float32") return Compute::kFloat32;
  if (name == "bfloat16") return Compute::kBFloat16;
  fail("--compute {}: expected auto, float32 or bfloat16", printable(name));
}

Compute compute_named(const std::string& dtype) {
  if (dtype == "float32") return Compute::kFloat32;
  return dtype == "bfloat16" ? Compute::kBFloat16 : Compute::kAuto;
}

std::optional<Products> parse_products(const std::string& name) {
  if (name == "auto") return std::nullopt;
  const std::optional<Products> products = products_named(name);
  require(products.has_value(), "--products {}: expected auto, {}", printable(name),
          fmt::join(kProductsNames, ", "));
  return products;
}

const LinearTimes& linear_times() {
  static const LinearTimes times = [] {
    // a library without fast bfloat16 may take hundreds of times as long: found out on little
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    LinearTimes found = measure_linear(32, 256, 2);
    if (found.bfloat16 < 4 * found.float32) found = measure_linear(256, 512, 4);
    at::set_num_threads(threads);
    return found;
  }();
  return times;
}

Execution choose_execution(const std::string& device, Compute compute, int threads,
                           bool calibrating, std::optional<Products> products) {
  require(threads >= 0 && threads <= 1024, "--threads {}: expected 0 (all cores) to 1024", threads);
  Execution execution;
  execution.device = parse_device(device);
  execution.threads =
      threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(execution.threads);
  at::globalContext().setAllowTF32CuBLAS(false);
  const bool half = compute == Compute::kBFloat16 || (compute == Compute::kAuto && calibrating &&
                                                      computes_in_bfloat16(execution.device));
  execution.dtype = half ? at::kBFloat16 : at::kFloat;
  if (!calibrating) return execution;
  require(!products || *products == Products::kFloat32 || has_mixed_product(),
          "--products {}: this libtorch has no product of bfloat16 matrices; expected float32 or "
          "auto",
          name_of(products.value_or(Products::kFloat32)));
  execution.products = products ? *products : fastest_products();
  use_products(execution.products);
  return execution;
}

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    case at::kDouble:
      return "float64";
    default:
      return c10::toString(dtype);
  }
}

at::ScalarType wide_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

at::Tensor widened(const at::Tensor& x) {
  return x.to(wide_type(x));
}

}  // namespace halftone
