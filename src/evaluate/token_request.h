// A context and a continuation as token ids, as lm-evaluation-harness encodes a pair of texts.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace halftone {

struct TokenRequest {
  std::vector<TokenId> context, continuation;  // neither is empty
};

class RequestEncoder {
 public:
  // The tokenizer must outlive it. vocabulary: of the model.
  RequestEncoder(const Tokenizer& tokenizer, int64_t vocabulary);

  // White space at the end of the context moves to the continuation; both are encoded together and
  // cut where the context alone ends, even if tokens cross that place. Special tokens are the
  // tokenizer's, none where the text begins with them. An empty context is the token that the
  // tokenizer puts in front. Errors: there is none; a continuation without tokens of its own; ids
  // outside the vocabulary.
  TokenRequest encode(const std::string& context, const std::string& continuation) const;

  // A text to go on from, special tokens as above. Errors: it has none, not even a special one; ids
  // outside the vocabulary.
  std::vector<TokenId> encode_prompt(const std::string& text) const;
  // A text that holds all marks itself, as chat templates write it: nothing is put around it.
  // Error: no token.
  std::vector<TokenId> encode_marked(const std::string& text) const;

 private:
  std::vector<TokenId> ids_of(const std::string& text) const;
  std::vector<TokenId> ids_of(const std::string& text, bool special) const;

  const Tokenizer& tokenizer_;
  int64_t vocabulary_;
  std::vector<TokenId> first_;  // what the tokenizer puts in front
  std::string first_text_;
};

// Cuts the context from the left until all but the last token fit into `length` positions. Whether
// it had to. Error: the continuation alone does not fit.
bool cut_to(TokenRequest& request, int64_t length);

}  // namespace halftone
