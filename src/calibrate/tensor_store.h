// Tensors put aside until they are asked for: in memory up to a limit, beyond it in a temporary
// file. What comes back is bit for bit what went in, so the limit changes no result.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>

#include "base/spill_file.h"

namespace halftone {

class TensorStore {
 public:
  // memory_limit: bytes kept in memory; folder: where the rest goes.
  TensorStore(int64_t memory_limit, std::filesystem::path folder)
      : memory_limit_(memory_limit),
        file_(std::move(folder), "free some disk, or raise --memory-limit") {}

  // Returns the handle under which `take` gives the tensor out again, once. The tensor must not be
  // written to meanwhile. Errors: those of SpillFile.
  int64_t put(const at::Tensor& tensor);
  at::Tensor take(int64_t handle);

  int64_t bytes_in_memory() const { return in_memory_; }
  int64_t bytes_on_disk() const { return file_.size(); }

 private:
  struct Entry {
    at::Tensor tensor;    // undefined where the file holds it
    int64_t offset = -1;  // in the file
    std::vector<int64_t> shape;
    at::ScalarType dtype = at::kFloat;
    at::Device device = at::kCPU;
  };

  int64_t memory_limit_, in_memory_ = 0, next_ = 0;
  SpillFile file_;
  std::map<int64_t, Entry> entries_;
};

}  // namespace halftone
