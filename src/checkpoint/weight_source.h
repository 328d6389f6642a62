// Named weights of a model, wherever they come from: a checkpoint as stored, or a packed folder
// de-quantized on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

// What `load` would hand out, known without reading a number.
struct WeightInfo {
  std::vector<int64_t> shape;
  at::ScalarType dtype = at::kFloat;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual const nlohmann::json& config() const = 0;    // config.json, an object
  virtual std::vector<std::string> names() const = 0;  // of all weights, sorted
  virtual bool contains(std::string_view name) const = 0;
  // Errors: absent; a dtype torch does not have.
  virtual WeightInfo info(std::string_view name) const = 0;
  // The weight: stored dtype and shape, or float32 where it was de-quantized. Read-only. Errors:
  // absent, unreadable.
  virtual at::Tensor load(std::string_view name) const = 0;
  // Rows of a matrix, as `load` has them.   index: (n) int64, any order -> (n, in)
  virtual at::Tensor load_rows(std::string_view name, const at::Tensor& index) const;
  // Its pages are not needed for now.
  virtual void release(std::string_view name) const = 0;
};

// A copy of a weight in another dtype. Of a large matrix some rows are taken at a time, so that
// memory holds the result and little else: meant for embeddings and heads.
at::Tensor load_copy(const WeightSource& source, std::string_view name, at::Device device,
                     at::ScalarType dtype);

}  // namespace halftone
