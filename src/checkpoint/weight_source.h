// Named weights of a model, wherever they come from: a checkpoint as stored, or a packed folder
// de-quantized on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string_view>

namespace halftone {

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual const nlohmann::json& config() const = 0;  // config.json, an object
  virtual bool contains(std::string_view name) const = 0;
  // The weight: stored dtype and shape, or float32 where it was de-quantized. Read-only. Errors:
  // absent, unreadable.
  virtual at::Tensor load(std::string_view name) const = 0;
  // Its pages are not needed for now.
  virtual void release(std::string_view name) const = 0;
};

}  // namespace halftone
