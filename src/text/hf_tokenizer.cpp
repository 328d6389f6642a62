#include "text/hf_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace halftone {
namespace {

// Old files do not name the type; the vocabulary of BPE is no list.
bool is_unigram(const Json& model) {
  const Json* vocabulary = find_field(model, "vocab");
  return optional_string_field(model, "type")
             .value_or(vocabulary != nullptr && vocabulary->is_array() ? "Unigram" : "BPE") ==
         "Unigram";
}

std::variant<Bpe, Unigram> read_model(const Json& description, bool spell_bytes) {
  return with_context("model", [&]() -> std::variant<Bpe, Unigram> {
    const Json& model = require_field(description, "model");
    if (!is_unigram(model)) return Bpe(model, spell_bytes);
    require(!spell_bytes, "\"Unigram\" behind a ByteLevel pre-tokenizer is not supported");
    return Unigram(model);
  });
}

}  // namespace

HfTokenizer::HfTokenizer(const Json& description, const TokenizerSettings& settings)
    : normalizers_(find_field(description, "normalizer")),
      pre_tokenizers_(find_field(description, "pre_tokenizer")),
      model_(read_model(description, pre_tokenizers_.spell_bytes())),
      added_(join_added_tokens(find_field(description, "added_tokens"), settings, vocabulary()),
             vocabulary(), normalizers_),
      decoders_(find_field(description, "decoder")),
      around_(parse_post_processor(find_field(description, "post_processor"))) {
  apply(settings);
  for (const auto* ids : {&around_.before, &around_.after})
    for (const TokenId id : *ids)
      with_context("post_processor", [&, id = id] { return piece(id); });
}

HfTokenizer::HfTokenizer(const Json& description, Bpe model, SpecialIds around)
    : normalizers_(find_field(description, "normalizer")),
      pre_tokenizers_(find_field(description, "pre_tokenizer")),
      model_(std::move(model)),
      added_(join_added_tokens(find_field(description, "added_tokens"), {}, vocabulary()),
             vocabulary(), normalizers_),
      decoders_(find_field(description, "decoder")),
      around_(std::move(around)) {}

const Vocabulary& HfTokenizer::vocabulary() const {
  return std::visit([](const auto& model) -> const Vocabulary& { return model.vocabulary(); },
                    model_);
}

// Where the class makes its own template it replaces that of the file.
void HfTokenizer::apply(const TokenizerSettings& settings) {
  if (!settings.usual_bos) return;
  const bool says_nothing = !settings.bos && !settings.add_bos && !settings.add_eos;
  if (says_nothing && added_.find(std::string_view(settings.usual_bos_token)) == nullptr) return;
  around_ = {};
  if (settings.add_bos.value_or(*settings.usual_bos))
    around_.before = {added_.require_role("bos_token", settings.bos, settings.usual_bos_token)};
  if (settings.add_eos.value_or(false))
    around_.after = {added_.require_role("eos_token", settings.eos, settings.usual_eos_token)};
}

std::vector<TokenId> HfTokenizer::encode(std::string_view text, bool special) const {
  const size_t invalid = first_invalid_utf8(text);
  require(invalid == text.size(), "the text is not UTF-8 at byte {}", invalid);
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4);
  if (special) ids = around_.before;
  Scratch scratch;
  for (const TextSegment& segment : added_.in_raw_text().split(text)) {
    if (segment.token != nullptr)
      ids.push_back(segment.token->id);
    else
      encode_ordinary(segment.text, segment.text.data() == text.data(), scratch, ids);
  }
  if (special) ids.insert(ids.end(), around_.after.begin(), around_.after.end());
  return ids;
}

void HfTokenizer::encode_ordinary(std::string_view text, bool at_start, Scratch& scratch,
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
    for (const std::string_view piece : pieces.views) encode_piece(piece, scratch, ids);
    pieces.rewritten.clear();
  }
}

void HfTokenizer::encode_piece(std::string_view piece, Scratch& scratch,
                               std::vector<TokenId>& ids) const {
  if (const Bpe* bpe = std::get_if<Bpe>(&model_)) return bpe->encode(piece, scratch.bpe, ids);
  std::get<Unigram>(model_).encode(piece, scratch.unigram, ids);
}

std::string HfTokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const TokenId id : ids) {
    const AddedToken* added = added_.find(int64_t{id});
    if (skip_special && added != nullptr && added->special) continue;
    tokens.push_back(added != nullptr ? added->content : piece(id));
  }
  return decoders_.decode(std::move(tokens));
}

std::string HfTokenizer::piece(TokenId id) const {
  if (const AddedToken* added = added_.find(int64_t{id})) return added->content;
  const std::string* text = vocabulary().text(id);
  require(text != nullptr, "token id {} is not in the vocabulary of {} tokens", id,
          vocabulary_size());
  return *text;
}

int64_t HfTokenizer::vocabulary_size() const {
  return std::max(vocabulary().size(), added_.size());
}

std::string HfTokenizer::description() const {
  const bool falls_back =
      std::visit([](const auto& each) { return each.has_byte_fallback(); }, model_);
  const std::string kind = std::holds_alternative<Unigram>(model_) ? "Unigram"
                           : pre_tokenizers_.spell_bytes()         ? "byte-level BPE"
                                                                   : "BPE";
  const bool said = falls_back && !pre_tokenizers_.spell_bytes();
  return fmt::format("{}{}, {} tokens", kind, said ? " with byte fallback" : "", vocabulary_size());
}

}  // namespace halftone
