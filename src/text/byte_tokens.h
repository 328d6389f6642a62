// Tokens of single bytes, <0x00> to <0xFF>: what a character without a token is spelled in.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace halftone {

class ByteTokens {
 public:
  ByteTokens() = default;
  explicit ByteTokens(const Vocabulary& vocabulary);

  // Appends the token of every byte, if there is one for each; else nothing, and false.
  bool append(std::string_view text, std::vector<TokenId>& ids) const;

 private:
  std::array<std::optional<TokenId>, 256> tokens_;
};

}  // namespace halftone
