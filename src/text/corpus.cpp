#include "text/corpus.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

constexpr const char* kBlankLine = "\n\n";

void require_utf8(std::string_view text) {
  const size_t invalid = first_invalid_utf8(text);
  require(invalid == text.size(), "not UTF-8 at byte {}", invalid);
}

std::string join_json_lines(std::string_view lines) {
  std::string text;
  size_t number = 0;
  bool has_text = false;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    with_context(fmt::format("line {}", number), [&] {
      text.append(has_text ? kBlankLine : "").append(string_field(parse_json(line), "text"));
    });
    has_text = true;
  }
  return text;
}

struct Around {
  size_t before, after;  // tokens that `special` puts around a text
};

Around tokens_around(const Tokenizer& tokenizer) {
  const auto plain = tokenizer.encode("a", false), full = tokenizer.encode("a", true);
  const auto at = std::search(full.begin(), full.end(), plain.begin(), plain.end());
  const auto before = static_cast<size_t>(at - full.begin());
  return {before, full.size() - std::min(full.size(), before + plain.size())};
}

void tokenize(const std::string& text, const Tokenizer& tokenizer, Corpus& corpus) {
  corpus.description = tokenizer.description();
  corpus.ids = tokenizer.encode(text, true);
  const Around around = tokens_around(tokenizer);
  corpus.bos = around.before > 0;
  const std::span<const TokenId> ids = corpus.ids;
  const auto inner = ids.subspan(around.before, ids.size() - around.before - around.after);
  corpus.round_trip = tokenizer.decode(inner, false) == text;
}

std::vector<TokenId> read_token_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  require(!bytes.empty(), "the file is empty");
  require(bytes.size() % sizeof(TokenId) == 0,
          "expected 4 bytes a token id, found {} bytes, which 4 does not divide", bytes.size());
  std::vector<TokenId> ids(bytes.size() / sizeof(TokenId));
  std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

void require_ids_below(const std::vector<TokenId>& ids, int64_t vocabulary_size) {
  for (size_t i = 0; i < ids.size(); ++i)
    require(ids[i] >= 0 && ids[i] < vocabulary_size,
            "token {} has id {}, but the model's vocabulary has {} tokens: tokenizer and model do "
            "not belong together?",
            i, ids[i], vocabulary_size);
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  return with_path(path, [&] {
    const MappedFile file(path);
    require_utf8(file.text());
    std::string text =
        path.extension() == ".jsonl" ? join_json_lines(file.text()) : std::string(file.text());
    require(!text.empty(), "there is no text in this file");
    return text;
  });
}

Corpus read_corpus(const std::filesystem::path& path, const Tokenizer* tokenizer,
                   int64_t vocabulary_size) {
  Corpus corpus;
  corpus.name = path.filename().string();
  const std::string text = path.extension() == ".tokens" ? "" : read_text(path);
  with_path(path, [&] {
    if (path.extension() == ".tokens") {
      corpus.ids = read_token_file(path);
      corpus.description = "token ids";
    } else {
      require(tokenizer != nullptr, "this is text, but there is no tokenizer");
      tokenize(text, *tokenizer, corpus);
    }
    require_ids_below(corpus.ids, vocabulary_size);
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
  TokenWindows windows{count, length, {}};
  windows.ids.reserve(static_cast<size_t>(count * length));
  Random random(seed);
  for (int64_t i = 0; i < count; ++i) {
    const auto offset =
        static_cast<ptrdiff_t>(random.below(static_cast<uint64_t>(size - length + 1)));
    const auto begin = windows.ids.size();
    const auto first = corpus.ids.begin() + offset;
    windows.ids.insert(windows.ids.end(), first, first + static_cast<ptrdiff_t>(length));
    if (corpus.bos) windows.ids[begin] = corpus.ids.front();
  }
  return windows;
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

}  // namespace halftone
