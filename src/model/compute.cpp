#include "model/compute.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <thread>

#include "base/error.h"
#include "kernels/bfloat16.h"

namespace halftone {
namespace {

bool multiplies_bfloat16(const at::Device& device) {
  return device.is_cuda() || cpu_multiplies_bfloat16();
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

Execution choose_execution(const std::string& device, Compute compute, int threads,
                           bool calibrating) {
  require(threads >= 0 && threads <= 1024, "--threads {}: expected 0 (all cores) to 1024", threads);
  Execution execution;
  execution.device = parse_device(device);
  execution.threads =
      threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(execution.threads);
  at::globalContext().setAllowTF32CuBLAS(false);
  const bool half = compute == Compute::kBFloat16 || (compute == Compute::kAuto && calibrating &&
                                                      multiplies_bfloat16(execution.device));
  execution.dtype = half ? at::kBFloat16 : at::kFloat;
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
