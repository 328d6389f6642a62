#include "evaluate/token_request.h"

#include <algorithm>

#include "base/error.h"
#include "text/tokens_around.h"
#include "text/white_space.h"

namespace halftone {

RequestEncoder::RequestEncoder(const Tokenizer& tokenizer, int64_t vocabulary)
    : tokenizer_(tokenizer), vocabulary_(vocabulary), first_(tokens_around(tokenizer).before) {
  if (first_.size() == 1) first_text_ = tokenizer.piece(first_.front());
}

std::vector<TokenId> RequestEncoder::ids_of(const std::string& text) const {
  const bool begun = !first_text_.empty() && text.starts_with(first_text_);
  return ids_of(text, !begun);
}

std::vector<TokenId> RequestEncoder::ids_of(const std::string& text, bool special) const {
  std::vector<TokenId> ids = tokenizer_.encode(text, special);
  for (const TokenId id : ids)
    require(id >= 0 && id < vocabulary_,
            "token {} is none of the model's {}: tokenizer and model do not belong together?", id,
            vocabulary_);
  return ids;
}

TokenRequest RequestEncoder::encode(const std::string& context,
                                    const std::string& continuation) const {
  const std::string begin(without_trailing_space(context));
  TokenRequest request;
  if (context.empty()) {
    require(!first_.empty(),
            "expected a context, found none, and the tokenizer puts no token in front of a text");
    request = {first_, tokenizer_.encode(continuation, false)};
  } else {
    const std::vector<TokenId> whole = ids_of(context + continuation);
    request.context = ids_of(begin);
    const size_t cut = std::min(whole.size(), request.context.size());
    request.continuation.assign(whole.begin() + static_cast<ptrdiff_t>(cut), whole.end());
  }
  require(!request.context.empty(), "expected a context, found white space alone");
  require(!request.continuation.empty(),
          "choice \"{}\": expected tokens behind the context, found none", printable(continuation));
  return request;
}

std::vector<TokenId> RequestEncoder::encode_prompt(const std::string& text) const {
  std::vector<TokenId> ids = ids_of(text);
  require(!ids.empty(),
          "expected a prompt, found none, and the tokenizer puts no token in front of a text");
  return ids;
}

std::vector<TokenId> RequestEncoder::encode_marked(const std::string& text) const {
  std::vector<TokenId> ids = ids_of(text, false);
  require(!ids.empty(), "expected a prompt, found none");
  return ids;
}

bool cut_to(TokenRequest& request, int64_t length) {
  const auto continuation = static_cast<int64_t>(request.continuation.size());
  const int64_t room = length + 1 - continuation;
  require(room >= 1, "expected a choice that fits into the model's context of {} tokens, found {}",
          length, continuation);
  const int64_t excess = static_cast<int64_t>(request.context.size()) - room;
  if (excess > 0) request.context.erase(request.context.begin(), request.context.begin() + excess);
  return excess > 0;
}

}  // namespace halftone
