// Unigram tokens (Kudo, "Subword regularization", 2018, arXiv 1804.10959) as Hugging Face's
// tokenizers library finds them: of all ways to cut a piece into tokens the one whose scores, which
// are logarithms of probabilities, have the greatest sum.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/byte_tokens.h"
#include "text/flat_map.h"
#include "text/json_fields.h"
#include "text/vocabulary.h"

namespace halftone {

// Working memory of one call to encode; holds nothing that outlives it.
class UnigramScratch {
 private:
  friend class Unigram;
  // The best cut of the text up to a byte.
  struct Best {
    double score;
    int32_t start;  // of its last token; -1: the byte is no end of one
    TokenId token;
  };
  std::vector<Best> best;
};

class Unigram {
 public:
  // "model" of tokenizer.json. Errors: a wrong or missing field, scores that are no numbers, a
  // token of more than 1024 bytes.
  explicit Unigram(const Json& description);

  // Appends the ids of a piece of valid UTF-8. Error: a character that has no token, where nothing
  // stands for such ones.
  void encode(std::string_view piece, UnigramScratch& scratch, std::vector<TokenId>& ids) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  bool has_byte_fallback() const { return byte_fallback_; }

 private:
  // From a node of the tree of all tokens along a byte.
  struct Branch {
    uint32_t node = 0;
    TokenId token = -1;  // that ends here; -1: none
  };

  void read_tokens(const Json& tokens);
  void build_tree();
  void find_best_cuts(std::string_view piece, UnigramScratch& scratch) const;
  void offer_tokens(std::string_view piece, size_t at, UnigramScratch& scratch) const;
  void append_unknown(std::string_view text, std::vector<TokenId>& ids) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;  // by id
  FlatMap<Branch> branches_;    // by node and byte
  ByteTokens byte_tokens_;
  std::optional<TokenId> unknown_;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
};

}  // namespace halftone
