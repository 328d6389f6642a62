// Text <-> token ids, as the model's own tokenizer does it (formats.md 11).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

using TokenId = int32_t;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // `special`: add what the tokenizer's own settings add around a text (BOS, EOS). Error: text is
  // not UTF-8.
  virtual std::vector<TokenId> encode(std::string_view text, bool special) const = 0;
  // Ids outside the vocabulary are an Error. Special tokens are left out if `skip_special`.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special) const = 0;
  // The token as it stands in the vocabulary file.
  virtual std::string piece(TokenId id) const = 0;
  virtual int64_t vocabulary_size() const = 0;
  // One line for reports: "byte-level BPE, 49152 tokens".
  virtual std::string description() const = 0;
};

// A tokenizer file or a model folder: tokenizer.json, else tokenizer.model, else vocab.json +
// merges.txt. Errors: none of these; a tokenizer whose parts are not supported (each is named).
std::unique_ptr<const Tokenizer> open_tokenizer(const std::filesystem::path& path);

}  // namespace halftone
