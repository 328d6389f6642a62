// "decoder" of tokenizer.json: token texts -> text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/json_fields.h"

namespace halftone {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::vector<std::string> apply(std::vector<std::string> tokens) const = 0;
};

// In order; what they leave is joined. Without any, tokens are joined by spaces. Error: a kind that
// is not supported.
class Decoders {
 public:
  Decoders() = default;
  explicit Decoders(const Json* description);
  std::string decode(std::vector<std::string> tokens) const;

 private:
  std::vector<std::unique_ptr<const Decoder>> steps_;
};

// Bytes as UTF-8: each longest beginning of a character that does not go on becomes U+FFFD.
std::string to_valid_utf8(const std::string& bytes);

}  // namespace halftone
