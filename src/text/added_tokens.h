// "added_tokens" of tokenizer.json, and those of the files beside it: tokens that are found in the
// text before anything else looks at it.
//
// The longest token at the leftmost place wins. Tokens that are not "normalized" are split off the
// text as it is, the others off the normalized rest.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_fields.h"
#include "text/normalizer.h"
#include "text/tokenizer_settings.h"
#include "text/vocabulary.h"

namespace halftone {

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool special = false;      // left out of decoded text on demand
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;
  bool numbered = false;  // no file gives it an id: it has the next one
};

// A part of a text: an added token, or ordinary text (token is null).
struct TextSegment {
  std::string_view text;
  const AddedToken* token;
};

// Finds a set of strings in text.
class TokenMatcher {
 public:
  void add(std::string_view content, const AddedToken* token);
  // Segments in order that together are `text`; none of them empty.
  std::vector<TextSegment> split(std::string_view text) const;
  bool empty() const { return first_bytes_.none(); }

 private:
  struct Match {
    size_t end;
    const AddedToken* token;  // null: none begins here
  };
  Match longest_at(std::string_view text, size_t at) const;

  std::bitset<256> first_bytes_;
  std::unordered_map<uint64_t, uint32_t> children_;       // node * 256 + byte -> node
  std::vector<const AddedToken*> ends_here_ = {nullptr};  // by node of the prefix tree
};

class AddedTokens {
 public:
  AddedTokens() = default;
  // description: [{"id": 1, "content": "<s>", ...}, ...]. Errors: ids that contradict `vocabulary`
  // or each other.
  AddedTokens(const Json& description, const Vocabulary& vocabulary,
              const Normalizers& normalizers);
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  const TokenMatcher& in_raw_text() const { return in_raw_text_; }
  const TokenMatcher& in_normalized_text() const { return in_normalized_text_; }
  // Null where no added token has this id or content.
  const AddedToken* find(int64_t id) const;
  const AddedToken* find(std::string_view content) const;
  // The token of `role` that the settings name, else `usual`. Errors: it is no token; no file gives
  // it an id.
  TokenId require_role(const char* role, const std::optional<std::string>& named,
                       const std::string& usual) const;
  // Largest id + 1.
  int64_t size() const { return ids_.size(); }

 private:
  std::unordered_map<int64_t, AddedToken> tokens_;  // by id
  Vocabulary ids_;
  TokenMatcher in_raw_text_, in_normalized_text_;
};

// The tokens of the tokenizer file (null: none) and what `settings` add to them, as transformers
// does: a token that is known already keeps its id and gets the flags that the settings give it;
// a new one has the id of its text in the vocabulary, else the next one, whatever the files say;
// tokens with a role come last. Error: `description` is no array.
Json join_added_tokens(const Json* description, const TokenizerSettings& settings,
                       const Vocabulary& vocabulary);

}  // namespace halftone
