// Text files -> token ids -> windows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "text/text_rows.h"
#include "text/tokenizer.h"

namespace halftone {

// A text file as one string: UTF-8 text as it is, or the texts of a file of rows (text_rows.h)
// joined by a blank line. Errors: empty, not UTF-8 (with the offset), those of parse_text_rows, a
// kind of file that holds no text.
std::string read_text(const std::filesystem::path& path, const WriteChat& write_chat = {});

// The file is one of token ids (.tokens). Error: a kind of file that holds neither text nor ids.
bool holds_tokens(const std::filesystem::path& path);

struct Corpus {
  std::vector<TokenId> ids;
  std::string name;         // file name, without folders
  std::string ids_sha256;   // of the ids as little-endian int32
  std::string description;  // tokenizer, or "token ids"
  bool round_trip = true;   // decode(encode(text)) == text; true where there is no text
  bool bos = false;         // the tokenizer put a token in front
};

// Tokenizes a text once, with special tokens as the tokenizer gives them; a .tokens file holds
// little-endian int32 ids. Errors: ids outside [0, vocabulary_size), ids that look like int64, plus
// those of read_text.
// `tokenizer` may be null for .tokens.
Corpus read_corpus(const std::filesystem::path& path, const Tokenizer* tokenizer,
                   int64_t vocabulary_size, const WriteChat& write_chat = {});

// The text that comes with the program (builtin_text.h), called kBuiltinText. Errors: ids outside
// [0, vocabulary_size).
inline constexpr const char* kBuiltinText = "builtin";
Corpus builtin_corpus(const Tokenizer& tokenizer, int64_t vocabulary_size);

// Windows of equal length, as a plain row-major array.
struct TokenWindows {
  int64_t count = 0, length = 0;
  std::vector<TokenId> ids;  // (count, length)
  int64_t first_scored = 0;  // the first position whose next token is scored
};

// Calibration: `count` windows at offsets drawn uniformly from [0, ids - length] by base/random.h
// (SplitMix64 seeded with `seed`), overlap allowed, in the order drawn. If the text adds BOS, every
// window starts with it (its first id is replaced). Error: fewer than half of count * length ids;
// the message says how many windows the text holds.
TokenWindows random_windows(const Corpus& corpus, int64_t count, int64_t length, uint64_t seed);
// Where these windows begin.   size: ids of the corpus, at least `length`
std::vector<int64_t> random_offsets(int64_t size, int64_t count, int64_t length, uint64_t seed);

// At most `count` disjoint windows that share no id with those that begin at `drawn` and are
// `drawn_length` long, spread over the text; BOS as there. There may be none.
TokenWindows windows_apart(const Corpus& corpus, std::vector<int64_t> drawn, int64_t drawn_length,
                           int64_t count, int64_t length);

// Evaluation: disjoint windows from the start, tail dropped, at most `limit` (0: all). Error: not
// one whole window.
TokenWindows disjoint_windows(const Corpus& corpus, int64_t length, int64_t limit);

constexpr int64_t kLeastLlamaLength = 5;  // tokens of a window of which two are scored

// Evaluation as llama-perplexity cuts a text: the same windows, BOS in front of each where the text
// has it (its first id is replaced), and only the second half scored. Error: fewer ids than two
// windows, or windows of fewer than that.
TokenWindows llama_windows(const Corpus& corpus, int64_t length, int64_t limit);

// Puts `bos` in the place of each window's first id.
void begin_with(TokenId bos, TokenWindows& windows);

}  // namespace halftone
