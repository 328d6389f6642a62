// Byte-pair encoding (Sennrich, Haddow, Birch, "Neural machine translation of rare words with
// subword units", 2016, arXiv 1508.07909) as Hugging Face's tokenizers library does it: of all
// neighbours in a piece the pair of lowest rank is merged first, the leftmost of equals.
//
// The merge runs on a linked list with a heap, so a piece of n characters takes n log n steps.
// Results of short pieces are remembered for the length of one call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "text/byte_tokens.h"
#include "text/flat_map.h"
#include "text/json_fields.h"
#include "text/vocabulary.h"

namespace halftone {

struct MergeRule {
  uint32_t rank;
  TokenId merged;
};

// Working memory of one call to encode; holds nothing that outlives it.
class BpeScratch {
 private:
  friend class Bpe;
  struct Symbol {
    TokenId id;
    int32_t previous, next;  // -1: none
  };
  struct Candidate {
    uint32_t rank;
    int32_t at;
    TokenId merged;
  };
  struct Known {
    size_t begin, end;  // in known_ids
  };
  std::vector<TokenId> symbols;
  std::vector<Symbol> list;
  std::vector<Candidate> heap;
  TextMap<Known> known;
  std::vector<TokenId> known_ids;
};

class Bpe {
 public:
  // "model" of tokenizer.json. `spell_bytes`: pieces are bytes to be spelled as in byte_level.h.
  // Errors: not a BPE model, a setting that is not supported, merges of unknown tokens.
  Bpe(const Json& description, bool spell_bytes);
  // Tokens spelled as in byte_level.h; merges "a b" in the order of their rank. `ignore_merges`: a
  // piece that is a token is that token. Error: merges of unknown tokens.
  Bpe(Vocabulary vocabulary, std::span<const std::string> merges, bool ignore_merges);

  // Appends the ids of a piece of valid UTF-8.
  void encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  bool has_byte_fallback() const { return byte_fallback_; }

 private:
  void read_merges(const Json& merges);
  void add_merge(uint32_t rank, const std::string& left, const std::string& right);
  size_t word_end(std::string_view piece, size_t begin) const;
  void encode_word(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& ids) const;
  void append_tokens(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& ids) const;
  void append_symbols(std::string_view word, std::vector<TokenId>& symbols) const;
  void append_merged(BpeScratch& scratch, std::vector<TokenId>& ids) const;
  void offer(int32_t at, BpeScratch& scratch) const;

  Vocabulary vocabulary_;
  FlatMap<MergeRule> merges_;  // by both ids
  ByteTokens byte_tokens_;
  std::optional<TokenId> unknown_;
  bool fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_, spell_bytes_;

  // Without a pre-tokenizer a whole text is one piece. No merge reaches over a place before U+2581
  // unless the right half of some rule begins with it and the left half ends with the character
  // before it. Pieces are cut everywhere else: the tokens are the same, and words repeat.
  bool cuts_words_ = false;
  std::unordered_set<std::string, TextHash, std::equal_to<>> joins_word_start_;
};

}  // namespace halftone
