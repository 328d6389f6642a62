// Files that hold one text a row: JSON lines (.jsonl, .ndjson, .json) or a JSON array (.json).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace halftone {

enum class TextFileKind { kPlain, kJsonLines, kJson, kTokens };

// By the file's ending, in whatever case. Error: one that holds no text (.csv, .parquet, .gz, ...);
// the message says what to make of it.
TextFileKind text_file_kind(const std::filesystem::path& path);

// What makes a conversation a text: the model's chat template. None: there is no model.
using WriteChat = std::function<std::string(const std::vector<ChatTurn>&)>;

// The "text" of every row; of one that has "messages" instead, a list of {"role", "content"}, what
// `write_chat` makes of them. Errors (with the line or the row): not JSON, neither of both,
// messages that are none, a conversation where there is no model; those of write_chat.
std::vector<std::string> parse_text_rows(std::string_view content, TextFileKind kind,
                                         const WriteChat& write_chat = {});

bool holds_rows(TextFileKind kind);

}  // namespace halftone
