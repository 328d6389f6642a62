#include "text/text_rows.h"

#include <algorithm>

#include "base/error.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

constexpr const char* kWhiteSpace = " \t\r\n";
constexpr std::string_view kTables[] = {".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx"};
constexpr std::string_view kPacked[] = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z"};
constexpr std::string_view kArrays[] = {".npy", ".npz", ".pt", ".pth", ".bin", ".safetensors"};

template <size_t n>
bool is_one_of(const std::string& ending, const std::string_view (&endings)[n]) {
  return std::find(std::begin(endings), std::end(endings), ending) != std::end(endings);
}

std::vector<ChatTurn> turns_of(const Json& row) {
  const Json& messages = array_field(row, "messages");
  require(!messages.empty(), "\"messages\": expected one or more, found none");
  std::vector<ChatTurn> turns;
  for (const Json& message : messages)
    with_context(fmt::format("message {}", turns.size()), [&] {
      turns.push_back({string_field(message, "role"), string_field(message, "content")});
    });
  return turns;
}

std::string text_of_row(const Json& row, const WriteChat& write_chat) {
  if (find_field(row, "text") != nullptr) return string_field(row, "text");
  if (write_chat && find_field(row, "messages") != nullptr) return write_chat(turns_of(row));
  require(!row.contains("messages") && !row.contains("conversations"),
          "expected a \"text\", found a conversation: {}",
          write_chat ? "write it as \"messages\", a list of {\"role\", \"content\"}"
                     : "apply the model's chat template first (apply_chat_template of "
                       "transformers, tokenize=False) and write the result as \"text\"");
  return string_field(row, "text");
}

std::vector<std::string> parse_lines(std::string_view content, const WriteChat& write_chat) {
  std::vector<std::string> texts;
  for (size_t number = 1; !content.empty(); ++number) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line.find_first_not_of(kWhiteSpace) == line.npos) continue;
    with_context(fmt::format("line {}", number),
                 [&] { texts.push_back(text_of_row(parse_json(line), write_chat)); });
  }
  return texts;
}

// What begins with a bracket is an array of rows; what ends its first object on another line is one
// row.
bool is_one_document(std::string_view content) {
  const size_t first = content.find_first_not_of(kWhiteSpace);
  if (first == content.npos) return false;
  const std::string_view line = content.substr(first, content.find('\n', first) - first);
  return content[first] == '[' || (!Json::accept(line) && Json::accept(content));
}

std::vector<std::string> parse_document(std::string_view content, const WriteChat& write_chat) {
  const Json document = parse_json(content);
  if (!document.is_array()) return {text_of_row(document, write_chat)};
  std::vector<std::string> texts;
  for (const Json& row : document)
    with_context(fmt::format("row {}", texts.size()),
                 [&] { texts.push_back(text_of_row(row, write_chat)); });
  return texts;
}

}  // namespace

TextFileKind text_file_kind(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  require(!is_one_of(ending, kTables),
          "{}: a {} file is a table, expected text: write its texts as .jsonl, one "
          "{{\"text\": \"...\"}} a line",
          path.string(), ending);
  require(!is_one_of(ending, kPacked), "{}: a {} file is packed, expected text: unpack it first",
          path.string(), ending);
  require(!is_one_of(ending, kArrays),
          "{}: a {} file holds arrays, expected text: write token ids as .tokens (little-endian "
          "int32, nothing else)",
          path.string(), ending);
  if (ending == ".tokens") return TextFileKind::kTokens;
  if (ending == ".json") return TextFileKind::kJson;
  const bool lines = ending == ".jsonl" || ending == ".ndjson";
  return lines ? TextFileKind::kJsonLines : TextFileKind::kPlain;
}

std::vector<std::string> parse_text_rows(std::string_view content, TextFileKind kind,
                                         const WriteChat& write_chat) {
  const bool whole = kind == TextFileKind::kJson && is_one_document(content);
  return whole ? parse_document(content, write_chat) : parse_lines(content, write_chat);
}

bool holds_rows(TextFileKind kind) {
  return kind == TextFileKind::kJsonLines || kind == TextFileKind::kJson;
}

}  // namespace halftone
