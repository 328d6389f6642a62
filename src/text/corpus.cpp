#include "text/corpus.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "text/builtin_text.h"
#include "text/tokens_around.h"

namespace halftone {
namespace {

constexpr const char* kForeignTokenizer = "tokenizer and model do not belong together?";

constexpr const char* kBlankLine = "\n\n";

void require_utf8(std::string_view text) {
  const size_t invalid = first_invalid_utf8(text);
  require(invalid == text.size(), "not UTF-8 at byte {}", invalid);
}

std::string join_rows(std::string_view content, TextFileKind kind, const WriteChat& write_chat) {
  return fmt::format("{}", fmt::join(parse_text_rows(content, kind, write_chat), kBlankLine));
}

void tokenize(const std::string& text, const Tokenizer& tokenizer, Corpus& corpus) {
  corpus.description = tokenizer.description();
  corpus.ids = tokenizer.encode(text, true);
  const TokensAround around = tokens_around(tokenizer);
  corpus.bos = !around.before.empty();
  const std::span<const TokenId> ids = corpus.ids;
  const auto inner =
      ids.subspan(around.before.size(), ids.size() - around.before.size() - around.after.size());
  corpus.round_trip = tokenizer.decode(inner, false) == text;
}

// The upper halves of int64 ids are 0; of a text no second token is always the same.
bool are_wider(const std::vector<TokenId>& ids) {
  constexpr size_t kFewest = 16;
  bool wider = ids.size() >= kFewest && ids.size() % 2 == 0;
  for (size_t i = 1; wider && i < ids.size(); i += 2) wider = ids[i] == 0;
  return wider;
}

std::vector<TokenId> read_token_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  require(!bytes.empty(), "the file is empty");
  require(bytes.size() % sizeof(TokenId) == 0,
          "expected 4 bytes a token id, found {} bytes, which 4 does not divide", bytes.size());
  std::vector<TokenId> ids(bytes.size() / sizeof(TokenId));
  std::memcpy(ids.data(), bytes.data(), bytes.size());
  require(!are_wider(ids),
          "expected little-endian int32 ids, found 0 for every second of {}: these are int64?",
          ids.size());
  return ids;
}

void require_ids_below(const std::vector<TokenId>& ids, int64_t vocabulary_size,
                       const char* cause) {
  for (size_t i = 0; i < ids.size(); ++i)
    require(ids[i] >= 0 && ids[i] < vocabulary_size,
            "token {} has id {}, but the model's vocabulary has {} tokens: {}", i, ids[i],
            vocabulary_size, cause);
}

// As calibration takes them: each begins with BOS where the text does.
TokenWindows windows_at(const Corpus& corpus, const std::vector<int64_t>& offsets, int64_t length) {
  TokenWindows windows{static_cast<int64_t>(offsets.size()), length, {}};
  windows.ids.reserve(offsets.size() * static_cast<size_t>(length));
  for (const int64_t offset : offsets) {
    const auto first = corpus.ids.begin() + static_cast<ptrdiff_t>(offset);
    windows.ids.insert(windows.ids.end(), first, first + static_cast<ptrdiff_t>(length));
  }
  if (corpus.bos) begin_with(corpus.ids.front(), windows);
  return windows;
}

}  // namespace

std::string read_text(const std::filesystem::path& path, const WriteChat& write_chat) {
  const TextFileKind kind = text_file_kind(path);
  return with_path(path, [&] {
    const MappedFile file(path);
    require_utf8(file.text());
    std::string text =
        holds_rows(kind) ? join_rows(file.text(), kind, write_chat) : std::string(file.text());
    require(!text.empty(), "there is no text in this file");
    return text;
  });
}

bool holds_tokens(const std::filesystem::path& path) {
  return text_file_kind(path) == TextFileKind::kTokens;
}

Corpus builtin_corpus(const Tokenizer& tokenizer, int64_t vocabulary_size) {
  Corpus corpus;
  corpus.name = kBuiltinText;
  tokenize(std::string(builtin_text()), tokenizer, corpus);
  require_ids_below(corpus.ids, vocabulary_size, kForeignTokenizer);
  corpus.ids_sha256 = sha256_hex(std::as_bytes(std::span(corpus.ids)));
  return corpus;
}

Corpus read_corpus(const std::filesystem::path& path, const Tokenizer* tokenizer,
                   int64_t vocabulary_size, const WriteChat& write_chat) {
  Corpus corpus;
  corpus.name = path.filename().string();
  const bool tokens = holds_tokens(path);
  const std::string text = tokens ? "" : read_text(path, write_chat);
  with_path(path, [&] {
    if (tokens) {
      corpus.ids = read_token_file(path);
      corpus.description = "token ids";
    } else {
      require(tokenizer != nullptr, "this is text, but there is no tokenizer");
      tokenize(text, *tokenizer, corpus);
    }
    require_ids_below(
        corpus.ids, vocabulary_size,
        tokens ? "made with another tokenizer, or not little-endian int32?" : kForeignTokenizer);
  });
  corpus.ids_sha256 = sha256_hex(std::as_bytes(std::span(corpus.ids)));
  return corpus;
}

TokenWindows random_windows(const Corpus& corpus, int64_t count, int64_t length, uint64_t seed) {
  const auto size = static_cast<int64_t>(corpus.ids.size());
  require(count > 0 && length > 0, "{} windows of {} tokens: both must be positive", count, length);
  require(length <= size && count <= 2 * size / length,
          "{} windows of {} tokens are wanted, but its {} tokens hold only {}: at least half as "
          "many are needed",
          count, length, size, size / length);
  return windows_at(corpus, random_offsets(size, count, length, seed), length);
}

std::vector<int64_t> random_offsets(int64_t size, int64_t count, int64_t length, uint64_t seed) {
  std::vector<int64_t> offsets;
  Random random(seed);
  for (int64_t i = 0; i < count; ++i)
    offsets.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(size - length + 1))));
  return offsets;
}

TokenWindows windows_apart(const Corpus& corpus, std::vector<int64_t> drawn, int64_t drawn_length,
                           int64_t count, int64_t length) {
  std::sort(drawn.begin(), drawn.end());
  drawn.push_back(static_cast<int64_t>(corpus.ids.size()));
  std::vector<int64_t> free;
  int64_t at = 0;
  for (const int64_t begin : drawn) {
    for (; at + length <= begin; at += length) free.push_back(at);
    at = std::max(at, begin + drawn_length);
  }
  const auto found = static_cast<int64_t>(free.size());
  const int64_t kept = std::min(count, found);
  std::vector<int64_t> spread;
  for (int64_t i = 0; i < kept; ++i)
    spread.push_back(free[static_cast<size_t>((2 * i + 1) * found / (2 * kept))]);
  return windows_at(corpus, spread, length);
}

TokenWindows disjoint_windows(const Corpus& corpus, int64_t length, int64_t limit) {
  const auto size = static_cast<int64_t>(corpus.ids.size());
  require(length > 0 && limit >= 0, "windows of {} tokens, at most {}: not possible", length,
          limit);
  require(length <= size, "its {} tokens hold not one window of {} tokens", size, length);
  const int64_t count = limit == 0 ? size / length : std::min(limit, size / length);
  const auto end = corpus.ids.begin() + static_cast<ptrdiff_t>(count * length);
  return {count, length, {corpus.ids.begin(), end}};
}

TokenWindows llama_windows(const Corpus& corpus, int64_t length, int64_t limit) {
  require(length >= kLeastLlamaLength, "windows of {} tokens: the scored half of one has to hold 2",
          length);
  require(static_cast<int64_t>(corpus.ids.size()) / 2 >= length,
          "its {} tokens hold not two windows of {} tokens", corpus.ids.size(), length);
  TokenWindows windows = disjoint_windows(corpus, length, limit);
  windows.first_scored = length / 2;
  if (corpus.bos) begin_with(corpus.ids.front(), windows);
  return windows;
}

void begin_with(TokenId bos, TokenWindows& windows) {
  for (int64_t i = 0; i < windows.count; ++i)
    windows.ids[static_cast<size_t>(i * windows.length)] = bos;
}

}  // namespace halftone
