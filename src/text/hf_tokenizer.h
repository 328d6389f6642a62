// The tokenizer that tokenizer.json describes: added tokens -> normalizer -> pre-tokenizer -> model
// (BPE or Unigram) -> post-processor.
#pragma once

#include <variant>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/json_fields.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/special_ids.h"
#include "text/tokenizer.h"
#include "text/tokenizer_settings.h"
#include "text/unigram.h"

namespace halftone {

class HfTokenizer final : public Tokenizer {
 public:
  // Errors: a part that is not supported (it is named), a wrong or missing field, ids that
  // contradict each other.
  HfTokenizer(const Json& description, const TokenizerSettings& settings);
  // The same of a model that has been read, with `around` put around texts.
  HfTokenizer(const Json& description, Bpe model, SpecialIds around);

  std::vector<TokenId> encode(std::string_view text, bool special) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override;
  std::string piece(TokenId id) const override;
  int64_t vocabulary_size() const override;
  std::string description() const override;

 private:
  struct Scratch {
    BpeScratch bpe;
    UnigramScratch unigram;
  };

  const Vocabulary& vocabulary() const;
  void encode_ordinary(std::string_view text, bool at_start, Scratch& scratch,
                       std::vector<TokenId>& ids) const;
  void encode_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& ids) const;
  void apply(const TokenizerSettings& settings);

  Normalizers normalizers_;
  PreTokenizers pre_tokenizers_;
  std::variant<Bpe, Unigram> model_;
  AddedTokens added_;
  Decoders decoders_;
  SpecialIds around_;
};

}  // namespace halftone
