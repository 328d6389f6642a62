#include "text/tokenizer_settings.h"

#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"

namespace halftone {
namespace {

std::optional<bool> optional_bool_field(const Json& object, const char* name) {
  if (find_field(object, name) == nullptr) return std::nullopt;
  return bool_field(object, name, false);
}

// "<s>" or {"content": "<s>", ...}.
std::optional<std::string> token_field(const Json& object, const char* name) {
  const Json* token = find_field(object, name);
  if (token == nullptr) return std::nullopt;
  return token->is_object() ? string_field(*token, "content") : string_field(object, name);
}

// {"50256": {"content": ...}, ...} -> [{"id": 50256, "content": ...}, ...]
Json read_added_tokens(const Json& by_id) {
  Json tokens = Json::array();
  require(by_id.is_object(), "expected an object, found {}", by_id.type_name());
  for (const auto& [key, token] : by_id.items()) {
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    require(error == std::errc() && end == key.data() + key.size() && token.is_object(),
            "\"{}\": expected an id and a token", printable(key));
    Json entry = token;
    entry["id"] = id;
    tokens.push_back(std::move(entry));
  }
  return tokens;
}

TokenizerSettings parse_settings(const Json& config) {
  TokenizerSettings settings;
  settings.add_bos = optional_bool_field(config, "add_bos_token");
  settings.add_eos = optional_bool_field(config, "add_eos_token");
  settings.bos = token_field(config, "bos_token");
  settings.eos = token_field(config, "eos_token");
  settings.unknown = token_field(config, "unk_token");
  settings.padding = token_field(config, "pad_token");
  settings.add_prefix_space = bool_field(config, "add_prefix_space", false);
  if (const Json* added = find_field(config, "added_tokens_decoder"))
    settings.added_tokens =
        with_context("added_tokens_decoder", [&] { return read_added_tokens(*added); });
  return settings;
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder) {
  const auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return {};
  return with_path(path, [&] { return parse_settings(parse_json(read_file(path))); });
}

}  // namespace halftone
