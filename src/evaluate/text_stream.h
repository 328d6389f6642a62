// Tokens -> text as they come: whole characters only, and nothing of a text that ends it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace halftone {

class TextStream {
 public:
  // before: the tokens that the text goes on from; none: it begins with its first token, without
  // the space that some tokenizers put in front. The tokenizer must outlive it.
  explicit TextStream(const Tokenizer& tokenizer, std::span<const TokenId> before = {});

  // What the text grows by; special tokens say nothing.
  std::string add(TokenId id);
  // What was held back for the rest of a character that never came.
  std::string end();

 private:
  std::string grown(bool whole);

  const Tokenizer& tokenizer_;
  // The tokens said last and those that are not said yet: what a token says depends on the one
  // before.
  std::vector<TokenId> ids_;
  size_t said_ = 0;  // of ids_
};

// Ends a growing text before the first of some texts that comes up in it.
class StopSearch {
 public:
  explicit StopSearch(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What can be given out: all but what may turn out to be the begin of a stop.
  std::string add(std::string_view more);
  bool is_found() const { return found_; }
  // What was held back, where no stop came.
  std::string end();

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace halftone
