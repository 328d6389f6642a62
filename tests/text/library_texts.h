// Texts with what a public library makes of them (tests/data/tokenizers/README.md).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "support/fixtures.h"
#include "text/tokenizer.h"

namespace halftone::testing {

using Json = nlohmann::json;
using Ids = std::vector<TokenId>;

inline std::string sha256_of(const Ids& ids) {
  return sha256_hex(std::as_bytes(std::span(ids)));
}

inline std::vector<Json> read_json_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(Json::parse(line));
  return rows;
}

inline std::vector<std::string> pieces_of(const Tokenizer& tokenizer, const Ids& ids) {
  std::vector<std::string> pieces;
  for (const TokenId id : ids) pieces.push_back(tokenizer.piece(id));
  return pieces;
}

// The sentencepiece library spells out what transformers takes for one token (library_folders).
inline bool spells_special_tokens(const std::string& text) {
  for (const char* token : {"<s>", "</s>", "<unk>"})
    if (text.find(token) != text.npos) return true;
  return false;
}

// {"text", "ids", "decoded"}; "tokens" may be left out, "ids_special" (with special tokens) and
// "decoded_skipping" (without them) where they are the same.
inline void expect_library_result(const Tokenizer& tokenizer, const Json& row) {
  const auto text = row["text"].get<std::string>();
  SCOPED_TRACE(row["text"].dump(-1, ' ', true));
  const auto ids = row["ids"].get<Ids>(), ids_special = row.value("ids_special", ids);
  const auto decoded = row["decoded"].get<std::string>();
  EXPECT_EQ(tokenizer.encode(text, false), ids);
  EXPECT_EQ(tokenizer.encode(text, true), ids_special);
  EXPECT_EQ(tokenizer.decode(ids, false), decoded);
  if (row.contains("tokens")) {
    EXPECT_EQ(pieces_of(tokenizer, ids), row["tokens"].get<std::vector<std::string>>());
  } else {
    EXPECT_EQ(tokenizer.decode(ids_special, true), row.value("decoded_skipping", decoded));
  }
}

}  // namespace halftone::testing
