// "normalizer" of tokenizer.json: rewrites text before it is cut into words.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/json_fields.h"

namespace halftone {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // Valid UTF-8 in and out.
  virtual std::string apply(std::string text) const = 0;
};

// In order; empty where tokenizer.json has none. Error: a kind that is not supported.
class Normalizers {
 public:
  Normalizers() = default;
  explicit Normalizers(const Json* description);
  std::string apply(std::string text) const;

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

}  // namespace halftone
