#include "text/bpe.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/characters.h"

namespace halftone {
namespace {

constexpr std::string_view kWordStart = "\u2581";
constexpr TokenId kMergedAway = -1;
constexpr size_t kLongestRemembered = 48;    // bytes of a piece
constexpr size_t kMostRemembered = 1 << 16;  // pieces

uint64_t pair_key(TokenId left, TokenId right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

// Refuses settings that change the result and that no supported model uses.
void refuse_unsupported(const Json& model) {
  const auto type = optional_string_field(model, "type").value_or("BPE");
  require(type == "BPE", "\"{}\" is not supported (known: BPE, Unigram)", printable(type));
  const Json* dropout = find_field(model, "dropout");
  require(dropout == nullptr || (dropout->is_number() && dropout->get<double>() == 0.0),
          "\"dropout\" is not supported: it makes the tokens random");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
    require(optional_string_field(model, affix).value_or("").empty(), "\"{}\" is not supported",
            affix);
}

using Pair = std::pair<std::string, std::string>;

Pair split_merge(const std::string& text) {
  const size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos)
    fail("expected two tokens with a space between, found \"{}\"", printable(text));
  return {text.substr(0, space), text.substr(space + 1)};
}

// "a b" or ["a", "b"].
Pair parse_merge(const Json& merge) {
  if (merge.is_string()) return split_merge(merge.get_ref<const std::string&>());
  require(merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string(),
          "expected \"a b\" or [\"a\", \"b\"], found {}", printable(merge.dump()));
  return {merge[0].get<std::string>(), merge[1].get<std::string>()};
}

TokenId require_token(const Vocabulary& vocabulary, const std::string& text) {
  const auto id = vocabulary.find(text);
  if (!id) fail("token \"{}\" is not in the vocabulary", printable(text));
  return *id;
}

// Calls visit(rank, merge) for each; an Error out of it names the rank.
template <class Merges, class Visit>
void for_each_merge(const Merges& merges, Visit&& visit) {
  uint32_t rank = 0;
  try {
    for (const auto& merge : merges) visit(rank++, merge);
  } catch (const Error& error) {
    fail("merge {}: {}", rank - 1, error.what());
  }
}

template <class Candidate>
bool comes_later(const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

}  // namespace

Bpe::Bpe(const Json& description, bool spell_bytes) : spell_bytes_(spell_bytes) {
  refuse_unsupported(description);
  fuse_unknown_ = bool_field(description, "fuse_unk", false);
  byte_fallback_ = bool_field(description, "byte_fallback", false);
  ignore_merges_ = bool_field(description, "ignore_merges", false);
  vocabulary_ = Vocabulary(require_field(description, "vocab"));
  byte_tokens_ = ByteTokens(vocabulary_);
  if (const auto unknown = optional_string_field(description, "unk_token"))
    unknown_ = with_context("unk_token", [&] { return require_token(vocabulary_, *unknown); });
  read_merges(array_field(description, "merges"));
  cuts_words_ = !spell_bytes_ && !ignore_merges_ && vocabulary_.find(kWordStart).has_value();
}

Bpe::Bpe(Vocabulary vocabulary, std::span<const std::string> merges, bool ignore_merges)
    : vocabulary_(std::move(vocabulary)),
      merges_(merges.size()),
      ignore_merges_(ignore_merges),
      spell_bytes_(true) {
  for_each_merge(merges, [&](uint32_t rank, const std::string& merge) {
    const auto [left, right] = split_merge(merge);
    add_merge(rank, left, right);
  });
}

void Bpe::read_merges(const Json& merges) {
  merges_ = FlatMap<MergeRule>(merges.size());
  for_each_merge(merges, [&](uint32_t rank, const Json& merge) {
    const auto [left, right] = parse_merge(merge);
    add_merge(rank, left, right);
  });
}

void Bpe::add_merge(uint32_t rank, const std::string& left, const std::string& right) {
  const uint64_t key =
      pair_key(require_token(vocabulary_, left), require_token(vocabulary_, right));
  merges_.set(key, {rank, require_token(vocabulary_, left + right)});
  if (right.starts_with(kWordStart) && !left.empty())
    joins_word_start_.insert(left.substr(previous_character(left, left.size())));
}

size_t Bpe::word_end(std::string_view piece, size_t begin) const {
  if (!cuts_words_) return piece.size();
  size_t at = begin;
  while ((at = piece.find(kWordStart, at + 1)) != piece.npos) {
    const size_t last = previous_character(piece, at);
    const std::string_view before = piece.substr(last, at - last);
    if (!joins_word_start_.contains(before) && vocabulary_.find(before)) return at;
  }
  return piece.size();
}

void Bpe::encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& ids) const {
  for (size_t begin = 0, end = 0; begin < piece.size(); begin = end) {
    end = word_end(piece, begin);
    encode_word(piece.substr(begin, end - begin), scratch, ids);
  }
}

void Bpe::encode_word(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& ids) const {
  const bool is_short = word.size() <= kLongestRemembered;
  if (is_short) {
    if (const auto at = scratch.known.find(word); at != scratch.known.end()) {
      const auto first = scratch.known_ids.begin();
      ids.insert(ids.end(), first + static_cast<ptrdiff_t>(at->second.begin),
                 first + static_cast<ptrdiff_t>(at->second.end));
      return;
    }
  }
  const size_t before = ids.size();
  append_tokens(word, scratch, ids);
  if (!is_short || scratch.known.size() >= kMostRemembered) return;
  const size_t begin = scratch.known_ids.size();
  scratch.known_ids.insert(scratch.known_ids.end(), ids.begin() + static_cast<ptrdiff_t>(before),
                           ids.end());
  scratch.known.emplace(word, BpeScratch::Known{begin, scratch.known_ids.size()});
}

void Bpe::append_tokens(std::string_view word, BpeScratch& scratch,
                        std::vector<TokenId>& ids) const {
  require(word.size() <= INT32_MAX, "a word of {} bytes is too long to tokenize", word.size());
  if (ignore_merges_) {
    const auto whole =
        spell_bytes_ ? vocabulary_.find(halftone::spell_bytes(word)) : vocabulary_.find(word);
    if (whole) return ids.push_back(*whole);
  }
  scratch.symbols.clear();
  append_symbols(word, scratch.symbols);
  append_merged(scratch, ids);
}

// The token of every character; of unknown ones the byte tokens if all exist, else the unknown
// token (held back, to be fused with those that follow), else nothing. As in the library, byte
// tokens do not release a held-back one.
void Bpe::append_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  bool unknown_held = false;
  const auto release = [&] {
    if (unknown_held) symbols.push_back(*unknown_);
    unknown_held = false;
  };
  for (size_t at = 0, bytes = 0; at < word.size(); at += bytes) {
    bytes = spell_bytes_ ? 1 : character_at(word, at).bytes;
    const std::string_view character =
        spell_bytes_ ? spelling_of(static_cast<unsigned char>(word[at])) : word.substr(at, bytes);
    if (const auto id = vocabulary_.find(character)) {
      release();
      symbols.push_back(*id);
    } else if (!(byte_fallback_ && byte_tokens_.append(character, symbols)) && unknown_) {
      if (!fuse_unknown_) release();
      unknown_held = true;
    }
  }
  release();
}

// Puts the merge of the symbols at `at` and after it into the heap, if there is one.
void Bpe::offer(int32_t at, BpeScratch& scratch) const {
  const auto& symbol = scratch.list[static_cast<size_t>(at)];
  if (symbol.next < 0) return;
  const auto& next = scratch.list[static_cast<size_t>(symbol.next)];
  const MergeRule* rule = merges_.find(pair_key(symbol.id, next.id));
  if (rule == nullptr) return;
  scratch.heap.push_back({rule->rank, at, rule->merged});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), comes_later<BpeScratch::Candidate>);
}

void Bpe::append_merged(BpeScratch& scratch, std::vector<TokenId>& ids) const {
  auto& [symbols, list, heap, known, known_ids] = scratch;
  const auto count = static_cast<int32_t>(symbols.size());
  list.clear();
  heap.clear();
  for (int32_t i = 0; i < count; ++i)
    list.push_back({symbols[static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
  for (int32_t i = 0; i < count; ++i) offer(i, scratch);

  while (!heap.empty()) {
    const auto best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), comes_later<BpeScratch::Candidate>);
    heap.pop_back();
    auto& left = list[static_cast<size_t>(best.at)];
    if (left.id == kMergedAway || left.next < 0) continue;
    auto& right = list[static_cast<size_t>(left.next)];
    // the neighbours may have changed since this was offered
    const MergeRule* rule = merges_.find(pair_key(left.id, right.id));
    if (rule == nullptr || rule->merged != best.merged) continue;

    left.id = best.merged;
    left.next = right.next;
    right.id = kMergedAway;
    if (left.next >= 0) list[static_cast<size_t>(left.next)].previous = best.at;
    if (left.previous >= 0) offer(left.previous, scratch);
    offer(best.at, scratch);
  }
  for (const auto& symbol : list)
    if (symbol.id != kMergedAway) ids.push_back(symbol.id);
}

}  // namespace halftone
