#include "text/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "text/characters.h"

namespace halftone {
namespace {

// \w of Rust's regex crate.
bool is_word_character(char32_t code_point) {
  const auto c = static_cast<UChar32>(code_point);
  const uint32_t kWordCategories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (U_MASK(u_charType(c)) & kWordCategories) != 0 || u_isUAlphabetic(c) ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL);
}

bool is_single_word(std::string_view text, size_t begin, size_t end) {
  const bool word_before =
      begin > 0 && is_word_character(decode_utf8_at(text, previous_character(text, begin)));
  const bool word_after = end < text.size() && is_word_character(decode_utf8_at(text, end));
  return !word_before && !word_after;
}

bool is_space_at(std::string_view text, size_t at) {
  return character_at(text, at).kind == CharClass::kSpace;
}

size_t spaces_before(std::string_view text, size_t at, size_t limit) {
  while (at > limit && is_space_at(text, previous_character(text, at)))
    at = previous_character(text, at);
  return at;
}

size_t spaces_after(std::string_view text, size_t at) {
  while (at < text.size() && is_space_at(text, at)) at += character_at(text, at).bytes;
  return at;
}

AddedToken parse_token(const Json& description) {
  AddedToken token;
  token.content = string_field(description, "content");
  token.id = static_cast<TokenId>(std::min<int64_t>(integer_field(description, "id"), INT32_MAX));
  token.special = bool_field(description, "special", false);
  token.single_word = bool_field(description, "single_word", false);
  token.lstrip = bool_field(description, "lstrip", false);
  token.rstrip = bool_field(description, "rstrip", false);
  token.normalized = bool_field(description, "normalized", !token.special);
  token.numbered = bool_field(description, "numbered", false);
  return token;
}

void check_against(const Vocabulary& vocabulary, const AddedToken& token) {
  const auto id = vocabulary.find(token.content);
  require(!id || *id == token.id, "token \"{}\" has id {}, but {} in the vocabulary",
          printable(token.content), token.id, id.value_or(0));
  const std::string* other = id ? nullptr : vocabulary.text(token.id);
  require(other == nullptr, "token \"{}\" has id {}, which is \"{}\" in the vocabulary",
          printable(token.content), token.id, printable(other == nullptr ? "" : *other));
}

std::set<std::string> contents_of(const Json& tokens) {
  std::set<std::string> contents;
  for (const Json& token : tokens) contents.insert(token["content"]);
  return contents;
}

class JoinedTokens {
 public:
  JoinedTokens(Json tokens, const Vocabulary& vocabulary)
      : tokens_(std::move(tokens)), vocabulary_(vocabulary), next_id_(vocabulary.size()) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      places_.emplace(string_field(tokens_[i], "content"), i);
      const int64_t id = integer_field(tokens_[i], "id");
      if (id < INT32_MAX) next_id_ = std::max(next_id_, id + 1);
    }
  }

  bool has(const std::string& content) const { return places_.contains(content); }

  // `numbered`: nobody gives an id to a token that is new.
  void set(Json token, bool numbered) {
    const std::string content = token["content"];
    const auto [at, is_new] = places_.try_emplace(content, tokens_.size());
    const auto id = vocabulary_.find(content);
    if (!is_new) {
      token["id"] = tokens_[at->second]["id"];
      tokens_[at->second] = std::move(token);
      return;
    }
    token["numbered"] = numbered && !id;
    token["id"] = id ? int64_t{*id} : next_id_++;
    tokens_.push_back(std::move(token));
  }

  const Json& tokens() const { return tokens_; }

 private:
  Json tokens_;
  const Vocabulary& vocabulary_;
  int64_t next_id_;
  std::map<std::string, size_t> places_;  // by content, in tokens_
};

}  // namespace

void TokenMatcher::add(std::string_view content, const AddedToken* token) {
  if (content.empty()) return;
  first_bytes_.set(static_cast<unsigned char>(content.front()));
  uint32_t node = 0;
  for (const char byte : content) {
    const uint64_t edge = uint64_t{node} * 256 + static_cast<unsigned char>(byte);
    const auto next = static_cast<uint32_t>(ends_here_.size());
    const auto [at, is_new] = children_.try_emplace(edge, next);
    if (is_new) ends_here_.push_back(nullptr);
    node = at->second;
  }
  ends_here_[node] = token;
}

TokenMatcher::Match TokenMatcher::longest_at(std::string_view text, size_t at) const {
  Match longest{at, nullptr};
  uint32_t node = 0;
  while (at < text.size()) {
    const auto child =
        children_.find(uint64_t{node} * 256 + static_cast<unsigned char>(text[at++]));
    if (child == children_.end()) break;
    node = child->second;
    if (ends_here_[node] != nullptr) longest = {at, ends_here_[node]};
  }
  return longest;
}

std::vector<TextSegment> TokenMatcher::split(std::string_view text) const {
  std::vector<TextSegment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    if (!first_bytes_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const auto [match_end, token] = longest_at(text, at);
    if (token == nullptr || (token->single_word && !is_single_word(text, at, match_end))) {
      at = token == nullptr ? at + 1 : match_end;
      continue;
    }
    const size_t begin = token->lstrip ? spaces_before(text, at, done) : at;
    const size_t end = token->rstrip ? spaces_after(text, match_end) : match_end;
    if (done < begin) segments.push_back({text.substr(done, begin - done), nullptr});
    segments.push_back({text.substr(begin, end - begin), token});
    at = done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), nullptr});
  return segments;
}

AddedTokens::AddedTokens(const Json& description, const Vocabulary& vocabulary,
                         const Normalizers& normalizers) {
  for (const Json& entry : description) {
    AddedToken token = parse_token(entry);
    check_against(vocabulary, token);
    ids_.add(token.content, token.id);
    const AddedToken& kept = tokens_[token.id] = std::move(token);
    if (kept.normalized)
      in_normalized_text_.add(normalizers.apply(kept.content), &kept);
    else
      in_raw_text_.add(kept.content, &kept);
  }
}

const AddedToken* AddedTokens::find(int64_t id) const {
  const auto at = tokens_.find(id);
  return at == tokens_.end() ? nullptr : &at->second;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto id = ids_.find(content);
  return id ? find(*id) : nullptr;
}

TokenId AddedTokens::require_role(const char* role, const std::optional<std::string>& named,
                                  const std::string& usual) const {
  const AddedToken* token = find(std::string_view(named.value_or(usual)));
  require(named || token != nullptr, "tokenizer_config.json adds {}, but does not say which it is",
          role);
  require(token != nullptr && !token->numbered,
          "tokenizer_config.json adds {} \"{}\", which is not in the vocabulary", role,
          printable(*named));
  return token->id;
}

Json join_added_tokens(const Json* description, const TokenizerSettings& settings,
                       const Vocabulary& vocabulary) {
  require(description == nullptr || description->is_array(),
          "\"added_tokens\": expected an array, found {}",
          description == nullptr ? "" : description->type_name());
  JoinedTokens joined(description == nullptr ? Json::array() : *description, vocabulary);
  const std::set<std::string> special = contents_of(settings.special_tokens);
  for (Json token : settings.added_tokens) {
    if (special.contains(token["content"])) token["special"] = true;
    joined.set(token, false);
  }
  for (const Json& token : settings.special_tokens)
    if (!joined.has(token["content"])) joined.set(token, true);
  return joined.tokens();
}

}  // namespace halftone
