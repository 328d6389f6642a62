#include "text/gguf_vocabulary.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/hf_tokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/sentencepiece_tokenizer.h"

namespace halftone {
namespace {

using Type = GgufTokenType;

// What llama.cpp takes where a file does not say: the tokens of Falcon and of Llama.
constexpr int64_t kUsualBpeId = 11;
constexpr int64_t kUsualUnknown = 0, kUsualBos = 1, kUsualEos = 2;

int64_t size_of(const GgufVocabulary& vocabulary) {
  return static_cast<int64_t>(vocabulary.tokens.size());
}

std::string key(const char* name) {
  return std::string("tokenizer.ggml.").append(name);
}

void check_texts(const char* name, const std::vector<std::string>& texts) {
  for (size_t i = 0; i < texts.size(); ++i)
    if (const size_t bad = first_invalid_utf8(texts[i]); bad != texts[i].size())
      fail("{}: entry {} is not UTF-8 at byte {}", key(name), i, bad);
}

// An array with an entry for each token, or none at all.
void check_length(const char* name, size_t found, size_t tokens) {
  require(found == 0 || found == tokens, "{}: expected {} entries, as many as tokens, found {}",
          key(name), tokens, found);
}

void check_id(const char* name, const std::optional<int64_t>& id, int64_t tokens) {
  require(!id || (*id >= 0 && *id < tokens), "{}: {} is outside the vocabulary of {} tokens",
          key(name), id.value_or(0), tokens);
}

void check(const GgufVocabulary& vocabulary) {
  require(!vocabulary.tokens.empty(), "{}: there are none", key("tokens"));
  check_length("scores", vocabulary.scores.size(), vocabulary.tokens.size());
  check_length("token_type", vocabulary.types.size(), vocabulary.tokens.size());
  check_texts("tokens", vocabulary.tokens);
  check_texts("merges", vocabulary.merges);
  for (size_t i = 0; i < vocabulary.types.size(); ++i)
    if (vocabulary.types[i] < 0 || vocabulary.types[i] > static_cast<int32_t>(Type::kByte))
      fail("{}: entry {} is {}, expected 0..6", key("token_type"), i, vocabulary.types[i]);
  for (size_t i = 0; i < vocabulary.scores.size(); ++i)
    if (!std::isfinite(vocabulary.scores[i])) fail("{}: entry {} is no number", key("scores"), i);
  check_id("bos_token_id", vocabulary.bos, size_of(vocabulary));
  check_id("eos_token_id", vocabulary.eos, size_of(vocabulary));
  check_id("unknown_token_id", vocabulary.unknown, size_of(vocabulary));
}

// Tokens without text are told apart by a name, as llama.cpp does.
std::vector<std::string> named_tokens(const GgufVocabulary& vocabulary) {
  std::vector<std::string> tokens = vocabulary.tokens;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].empty()) tokens[id] = fmt::format("[EMPTY_{}]", id);
  return tokens;
}

Vocabulary vocabulary_of(const std::vector<std::string>& tokens) {
  return with_context(key("tokens"),
                      [&] { return Vocabulary(std::span<const std::string>(tokens)); });
}

// Where the file gives no types they follow from roles and texts. A token with a role is no text.
std::vector<Type> types_of(const GgufVocabulary& vocabulary) {
  std::vector<Type> types(vocabulary.tokens.size(), Type::kNormal);
  for (size_t id = 0; id < types.size(); ++id) {
    if (!vocabulary.types.empty())
      types[id] = static_cast<Type>(vocabulary.types[id]);
    else if (vocabulary.model == "llama" && is_byte_piece(vocabulary.tokens[id]))
      types[id] = Type::kByte;
  }
  for (const auto& id : {vocabulary.bos, vocabulary.eos})
    if (id && types[static_cast<size_t>(*id)] == Type::kNormal)
      types[static_cast<size_t>(*id)] = Type::kControl;
  return types;
}

// As in tokenizer.json.
Json added_tokens(const std::vector<std::string>& tokens, const std::vector<Type>& types) {
  Json added = Json::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool is_special = types[id] == Type::kControl || types[id] == Type::kUnknown;
    if (is_special || types[id] == Type::kUserDefined)
      added.push_back(
          {{"id", id}, {"content", tokens[id]}, {"special", is_special}, {"normalized", false}});
  }
  return added;
}

// The tokens to put at an end of each text: none unless `adds`. Error: there is no such token.
std::vector<TokenId> around(const char* name, bool adds, std::optional<int64_t> id,
                            int64_t tokens) {
  if (!adds) return {};
  require(id && *id >= 0 && *id < tokens,
          "{}: the file adds this token to texts, but does not say which it is", key(name));
  return {static_cast<TokenId>(*id)};
}

std::unique_ptr<const Tokenizer> open_byte_level(const GgufVocabulary& vocabulary) {
  const GgufPreTokenizer& row = with_context(
      key("pre"), [&]() -> auto& { return find_gguf_pre_tokenizer(vocabulary.pre); });
  const std::vector<std::string> tokens = named_tokens(vocabulary);
  Json description = text_parts_of(row);
  description["added_tokens"] = added_tokens(tokens, types_of(vocabulary));
  require(!vocabulary.merges.empty(), "{}: there are none", key("merges"));
  Vocabulary texts = vocabulary_of(tokens);
  Bpe model = with_context(
      key("merges"), [&] { return Bpe(std::move(texts), vocabulary.merges, row.ignore_merges); });
  const auto usual = [&](const std::optional<int64_t>& id, bool has_usual) {
    return id || !has_usual ? id : std::optional(kUsualBpeId);
  };
  SpecialIds special{around("bos_token_id", vocabulary.add_bos.value_or(row.adds_bos),
                            usual(vocabulary.bos, row.has_bos), size_of(vocabulary)),
                     around("eos_token_id", vocabulary.add_eos.value_or(false),
                            usual(vocabulary.eos, true), size_of(vocabulary))};
  return std::make_unique<HfTokenizer>(description, std::move(model), std::move(special));
}

// The one token that unknown characters become; other tokens of this type cannot be told from
// control tokens.
int64_t unknown_token(const GgufVocabulary& vocabulary, const std::vector<Type>& types) {
  if (vocabulary.unknown) return *vocabulary.unknown;
  const auto first = std::find(types.begin(), types.end(), Type::kUnknown);
  return first == types.end() ? kUsualUnknown : first - types.begin();
}

SentencePieceModel sentencepiece_model(const GgufVocabulary& vocabulary) {
  GgufVocabulary with_roles = vocabulary;
  const auto usual = [&](std::optional<int64_t>& id, int64_t usual_id) {
    if (!id && usual_id < size_of(vocabulary)) id = usual_id;
  };
  if (vocabulary.add_bos.value_or(true)) usual(with_roles.bos, kUsualBos);
  if (vocabulary.add_eos.value_or(false)) usual(with_roles.eos, kUsualEos);
  const std::vector<Type> types = types_of(with_roles);
  const std::vector<std::string> tokens = named_tokens(vocabulary);
  SentencePieceModel model;
  model.unknown = unknown_token(vocabulary, types);
  model.bos = with_roles.bos.value_or(-1);
  model.eos = with_roles.eos.value_or(-1);
  for (size_t id = 0; id < tokens.size(); ++id) {
    Type type = types[id];
    if (static_cast<int64_t>(id) == model.unknown)
      type = Type::kUnknown;
    else if (type == Type::kUnknown)
      type = Type::kControl;
    else if (type == Type::kUndefined)
      type = Type::kNormal;
    model.byte_fallback |= type == Type::kByte;
    model.pieces.push_back({tokens[id], vocabulary.scores.empty() ? 0.0F : vocabulary.scores[id],
                            static_cast<int32_t>(type)});
  }
  return model;
}

std::unique_ptr<const Tokenizer> open_by_score(const GgufVocabulary& vocabulary) {
  vocabulary_of(named_tokens(vocabulary));  // to refuse tokens that are given twice
  const SentencePieceModel model = sentencepiece_model(vocabulary);
  TokenizerSettings settings;
  settings.add_bos = vocabulary.add_bos.value_or(true);
  settings.add_eos = vocabulary.add_eos.value_or(false);
  settings.add_prefix_space = vocabulary.add_space_prefix;
  for (const TokenId id : around("bos_token_id", *settings.add_bos, model.bos, size_of(vocabulary)))
    settings.bos = model.pieces[static_cast<size_t>(id)].text;
  for (const TokenId id : around("eos_token_id", *settings.add_eos, model.eos, size_of(vocabulary)))
    settings.eos = model.pieces[static_cast<size_t>(id)].text;
  return make_sentencepiece(serialized(model), settings);
}

struct Kind {
  std::string_view name;
  std::unique_ptr<const Tokenizer> (*open)(const GgufVocabulary&);
};

// One line a kind.
constexpr Kind kKinds[] = {{"gpt2", open_byte_level}, {"llama", open_by_score}};

}  // namespace

std::unique_ptr<const Tokenizer> open_gguf_vocabulary(const GgufVocabulary& vocabulary) {
  for (const Kind& kind : kKinds) {
    if (vocabulary.model != kind.name) continue;
    check(vocabulary);
    return kind.open(vocabulary);
  }
  fail("{}: \"{}\" is not supported (known: gpt2, llama)", key("model"),
       printable(vocabulary.model));
}

}  // namespace halftone
