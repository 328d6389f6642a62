// Files that hold one text a row: JSON lines (.jsonl, .ndjson, .json) or a JSON array (.json).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace halftone {

enum class TextFileKind { kPlain, kJsonLines, kJson, kTokens };

// By the file's ending, in whatever case. Error: one that holds no text (.csv, .parquet, .gz, ...);
// the message says what to make of it.
TextFileKind text_file_kind(const std::filesystem::path& path);

// The "text" of every row. Errors (with the line or the row): not JSON, no "text"; rows of
// "messages", which are no text before the model's chat template has been applied.
std::vector<std::string> parse_text_rows(std::string_view content, TextFileKind kind);

bool holds_rows(TextFileKind kind);

}  // namespace halftone
