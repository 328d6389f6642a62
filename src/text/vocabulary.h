// Token texts and their ids.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_fields.h"
#include "text/tokenizer.h"

namespace halftone {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

class Vocabulary {
 public:
  Vocabulary() = default;
  // The id of every text: {"text": id, ...}. Errors: not such an object, ids too large or given
  // twice.
  explicit Vocabulary(const Json& description);
  // The texts of ids 0, 1, ... Errors: too many, a text given twice.
  explicit Vocabulary(std::span<const std::string> texts);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  // Errors: id too large, or taken by another text; the text has another id.
  void add(const std::string& text, int64_t id);

  std::optional<TokenId> find(std::string_view text) const;
  // The token's text, null where no token has this id.
  const std::string* text(int64_t id) const;
  // Largest id + 1.
  int64_t size() const { return static_cast<int64_t>(texts_.size()); }

 private:
  TextMap<TokenId> ids_;
  std::vector<const std::string*> texts_;  // keys of ids_; null: no such token
};

}  // namespace halftone
