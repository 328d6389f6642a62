#include "calibrate/tensor_store.h"

#include <ATen/ATen.h>

namespace halftone {
namespace {

// tensor: contiguous, on the CPU
std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

}  // namespace

int64_t TensorStore::put(const at::Tensor& tensor) {
  Entry entry{{}, -1, tensor.sizes().vec(), tensor.scalar_type(), tensor.device()};
  const auto size = static_cast<int64_t>(tensor.nbytes());
  if (size <= memory_limit_ - in_memory_) {
    entry.tensor = tensor;
    in_memory_ += size;
  } else {
    entry.offset = file_.write(bytes_of(tensor.cpu().contiguous()));
  }
  entries_.emplace(next_, std::move(entry));
  return next_++;
}

at::Tensor TensorStore::take(int64_t handle) {
  const auto node = entries_.extract(handle);
  const Entry& entry = node.mapped();
  if (entry.tensor.defined()) {
    in_memory_ -= static_cast<int64_t>(entry.tensor.nbytes());
    return entry.tensor;
  }
  const at::Tensor tensor = at::empty(entry.shape, entry.dtype);
  file_.read(entry.offset, bytes_of(tensor));
  file_.release(entry.offset, tensor.nbytes());
  return tensor.to(entry.device);
}

}  // namespace halftone
