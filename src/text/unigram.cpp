#include "text/unigram.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/utf8.h"
#include "text/characters.h"

namespace halftone {
namespace {

constexpr size_t kLongestToken = 1024;  // bytes; bounds what a hostile file makes of each byte
constexpr double kUnknownPenalty = 10;  // below the least score of a token
constexpr TokenId kNone = -1;

uint64_t branch_key(uint32_t node, char byte) {
  return uint64_t{node} << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

Unigram::Unigram(const Json& description) {
  byte_fallback_ = bool_field(description, "byte_fallback", false);
  read_tokens(array_field(description, "vocab"));
  if (const Json* id = find_field(description, "unk_id"); id != nullptr && !id->is_null()) {
    const int64_t unknown = json_to_count(*id, "unk_id");
    require(unknown < vocabulary_.size(), "\"unk_id\": {} is not in the vocabulary of {} tokens",
            unknown, vocabulary_.size());
    unknown_ = static_cast<TokenId>(unknown);
  }
  byte_tokens_ = ByteTokens(vocabulary_);
  build_tree();
}

// ["text", score] of ids 0, 1, ...
void Unigram::read_tokens(const Json& tokens) {
  require(!tokens.empty(), "\"vocab\": expected tokens, found none");
  for (const Json& token : tokens) {
    require(token.is_array() && token.size() == 2 && token[0].is_string() && token[1].is_number(),
            "\"vocab\": expected [\"text\", score], found {}", printable(token.dump()));
    const auto& text = token[0].get_ref<const std::string&>();
    const auto score = token[1].get<double>();
    require(text.size() <= kLongestToken, "token {}: expected at most {} bytes, found {}",
            scores_.size(), kLongestToken, text.size());
    require(std::isfinite(score), "token \"{}\": its score is not finite", printable(text));
    vocabulary_.add(text, static_cast<int64_t>(scores_.size()));
    scores_.push_back(score);
  }
  unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty;
}

void Unigram::build_tree() {
  size_t bytes = 0;
  for (int64_t id = 0; id < vocabulary_.size(); ++id) bytes += vocabulary_.text(id)->size();
  branches_ = FlatMap<Branch>(bytes);
  uint32_t nodes = 1;
  for (int64_t id = 0; id < vocabulary_.size(); ++id) {
    uint32_t node = 0;
    const std::string& text = *vocabulary_.text(id);
    for (size_t at = 0; at < text.size(); ++at) {
      const uint64_t key = branch_key(node, text[at]);
      const Branch* known = branches_.find(key);
      Branch branch = known != nullptr ? *known : Branch{.node = nodes++, .token = kNone};
      if (at + 1 == text.size()) branch.token = static_cast<TokenId>(id);
      branches_.set(key, branch);
      node = branch.node;
    }
  }
}

// Every token that begins at `at`, and the unknown one where no token is its first character.
void Unigram::offer_tokens(std::string_view piece, size_t at, UnigramScratch& scratch) const {
  const double before = scratch.best[at].score;
  const auto offer = [&](size_t end, TokenId token, double score) {
    UnigramScratch::Best& best = scratch.best[end];
    if (best.start < 0 || before + score > best.score)
      best = {before + score, static_cast<int32_t>(at), token};
  };
  const size_t character = character_at(piece, at).bytes;
  bool has_character = false;
  uint32_t node = 0;
  for (size_t end = at; end < piece.size();) {
    const Branch* branch = branches_.find(branch_key(node, piece[end]));
    if (branch == nullptr) break;
    ++end;
    node = branch->node;
    if (branch->token == kNone) continue;
    offer(end, branch->token, scores_[static_cast<size_t>(branch->token)]);
    has_character = has_character || end - at == character;
  }
  if (has_character) return;
  require(unknown_.has_value(), "\"{}\" has no token, and there is no \"unk_id\"",
          printable(piece.substr(at, character)));
  offer(at + character, *unknown_, unknown_score_);
}

void Unigram::find_best_cuts(std::string_view piece, UnigramScratch& scratch) const {
  scratch.best.assign(piece.size() + 1, {0, kNone, kNone});
  for (size_t at = 0; at < piece.size(); at += character_at(piece, at).bytes)
    offer_tokens(piece, at, scratch);
}

// Characters without tokens, neighbours taken as one.
void Unigram::append_unknown(std::string_view text, std::vector<TokenId>& ids) const {
  if (const auto id = vocabulary_.find(text)) return ids.push_back(*id);
  if (byte_fallback_ && byte_tokens_.append(text, ids)) return;
  ids.push_back(*unknown_);
}

void Unigram::encode(std::string_view piece, UnigramScratch& scratch,
                     std::vector<TokenId>& ids) const {
  require(piece.size() <= INT32_MAX, "a piece of {} bytes is too long to tokenize", piece.size());
  find_best_cuts(piece, scratch);
  std::vector<UnigramScratch::Best>& best = scratch.best;
  // backwards, each token's end where it begins; then forwards
  std::vector<std::pair<size_t, size_t>> cuts;
  for (size_t end = piece.size(); end > 0; end = static_cast<size_t>(best[end].start))
    cuts.emplace_back(static_cast<size_t>(best[end].start), end);
  std::reverse(cuts.begin(), cuts.end());
  for (size_t i = 0; i < cuts.size(); ++i) {
    const auto [begin, first_end] = cuts[i];
    if (best[first_end].token != unknown_) {
      ids.push_back(best[first_end].token);
      continue;
    }
    size_t end = first_end;
    while (i + 1 < cuts.size() && best[cuts[i + 1].second].token == unknown_)
      end = cuts[++i].second;
    append_unknown(piece.substr(begin, end - begin), ids);
  }
}

}  // namespace halftone
