#include "text/bpe_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace halftone {

BpeTokenizer::BpeTokenizer(const Json& description, const TokenizerSettings& settings)
    : normalizers_(find_field(description, "normalizer")),
      pre_tokenizers_(find_field(description, "pre_tokenizer")),
      bpe_(with_context(
          "model",
          [&] { return Bpe(require_field(description, "model"), pre_tokenizers_.spell_bytes()); })),
      added_(
          join_added_tokens(find_field(description, "added_tokens"), settings, bpe_.vocabulary()),
          bpe_.vocabulary(), normalizers_),
      decoders_(find_field(description, "decoder")),
      around_(parse_post_processor(find_field(description, "post_processor"))) {
  apply(settings);
  for (const auto* ids : {&around_.before, &around_.after})
    for (const TokenId id : *ids)
      with_context("post_processor", [&, id = id] { return piece(id); });
}

BpeTokenizer::BpeTokenizer(const Json& description, Bpe model, SpecialIds around)
    : normalizers_(find_field(description, "normalizer")),
      pre_tokenizers_(find_field(description, "pre_tokenizer")),
      bpe_(std::move(model)),
      added_(join_added_tokens(find_field(description, "added_tokens"), {}, bpe_.vocabulary()),
             bpe_.vocabulary(), normalizers_),
      decoders_(find_field(description, "decoder")),
      around_(std::move(around)) {}

// Where the class makes its own template it replaces that of the file.
void BpeTokenizer::apply(const TokenizerSettings& settings) {
  if (!settings.usual_bos) return;
  const bool says_nothing = !settings.bos && !settings.add_bos && !settings.add_eos;
  if (says_nothing && added_.find(std::string_view(settings.usual_bos_token)) == nullptr) return;
  around_ = {};
  if (settings.add_bos.value_or(*settings.usual_bos))
    around_.before = {added_.require_role("bos_token", settings.bos, settings.usual_bos_token)};
  if (settings.add_eos.value_or(false))
    around_.after = {added_.require_role("eos_token", settings.eos, settings.usual_eos_token)};
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text, bool special) const {
  const size_t invalid = first_invalid_utf8(text);
  require(invalid == text.size(), "the text is not UTF-8 at byte {}", invalid);
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4);
  if (special) ids = around_.before;
  BpeScratch scratch;
  for (const TextSegment& segment : added_.in_raw_text().split(text)) {
    if (segment.token != nullptr)
      ids.push_back(segment.token->id);
    else
      encode_ordinary(segment.text, segment.text.data() == text.data(), scratch, ids);
  }
  if (special) ids.insert(ids.end(), around_.after.begin(), around_.after.end());
  return ids;
}

void BpeTokenizer::encode_ordinary(std::string_view text, bool at_start, BpeScratch& scratch,
                                   std::vector<TokenId>& ids) const {
  const std::string normalized = normalizers_.apply(std::string(text));
  Pieces pieces;
  for (const TextSegment& segment : added_.in_normalized_text().split(normalized)) {
    if (segment.token != nullptr) {
      ids.push_back(segment.token->id);
      continue;
    }
    const bool first = at_start && segment.text.data() == normalized.data();
    pre_tokenizers_.split(segment.text, first, pieces);
    for (const std::string_view piece : pieces.views) bpe_.encode(piece, scratch, ids);
    pieces.rewritten.clear();
  }
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const TokenId id : ids) {
    const AddedToken* added = added_.find(int64_t{id});
    if (skip_special && added != nullptr && added->special) continue;
    tokens.push_back(added != nullptr ? added->content : piece(id));
  }
  return decoders_.decode(std::move(tokens));
}

std::string BpeTokenizer::piece(TokenId id) const {
  if (const AddedToken* added = added_.find(int64_t{id})) return added->content;
  const std::string* text = bpe_.vocabulary().text(id);
  require(text != nullptr, "token id {} is not in the vocabulary of {} tokens", id,
          vocabulary_size());
  return *text;
}

int64_t BpeTokenizer::vocabulary_size() const {
  return std::max(bpe_.vocabulary().size(), added_.size());
}

std::string BpeTokenizer::description() const {
  const char* kind = pre_tokenizers_.spell_bytes() ? "byte-level BPE"
                     : bpe_.has_byte_fallback()    ? "BPE with byte fallback"
                                                   : "BPE";
  return fmt::format("{}, {} tokens", kind, vocabulary_size());
}

}  // namespace halftone
