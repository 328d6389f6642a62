#include "text/tokenizer_settings.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSettingsFile = "tokenizer_config.json";

// Tokens with a role, in the order in which those that are new get their ids.
constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};

struct ClassTemplate {
  std::string_view token_class;
  bool adds_bos;
};

constexpr ClassTemplate kClassTemplates[] = {
    {"LlamaTokenizer", true},  {"CodeLlamaTokenizer", true}, {"GemmaTokenizer", true},
    {"CohereTokenizer", true}, {"GPTNeoXTokenizer", false},
};

struct ModelClass {
  std::string_view model_type, token_class;
};

constexpr ModelClass kModelClasses[] = {
    {"llama", "LlamaTokenizer"},   {"mistral", "LlamaTokenizer"},    {"gemma", "GemmaTokenizer"},
    {"cohere", "CohereTokenizer"}, {"gpt_neox", "GPTNeoXTokenizer"}, {"qwen2", "Qwen2Tokenizer"},
};

std::optional<bool> optional_bool_field(const Json& object, const char* name) {
  if (find_field(object, name) == nullptr) return std::nullopt;
  return bool_field(object, name, false);
}

// The object in a file; an empty one where there is no such file.
Json read_object(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  return with_path(path, [&] {
    Json object = parse_json(read_file(path));
    require(object.is_object(), "expected a JSON object, found {}", object.type_name());
    return object;
  });
}

// "<s>" or {"content": "<s>", ...} -> {"content": "<s>", "special": true, ...}
Json special_token(const Json& token, const char* name) {
  require(token.is_string() || token.is_object(), "\"{}\": expected a token, found {}", name,
          token.type_name());
  Json entry = token.is_object() ? token : Json{{"content", token}};
  string_field(entry, "content");
  entry["special"] = true;
  return entry;
}

// An array of tokens, or an object of them by name.
void append_more(const Json& config, const char* name, Json& tokens) {
  const Json* more = find_field(config, name);
  if (more == nullptr) return;
  require(more->is_array() || more->is_object(), "\"{}\": expected an array, found {}", name,
          more->type_name());
  for (const auto& [key, token] : more->items()) tokens.push_back(special_token(token, name));
}

Json read_special_tokens(const Json& config) {
  Json tokens = Json::array();
  for (const char* role : kRoles)
    if (const Json* token = find_field(config, role)) tokens.push_back(special_token(*token, role));
  append_more(config, "additional_special_tokens", tokens);
  append_more(config, "extra_special_tokens", tokens);
  return tokens;
}

std::optional<std::string> role(const Json& config, const char* name) {
  const Json* token = find_field(config, name);
  if (token == nullptr) return std::nullopt;
  return string_field(special_token(*token, name), "content");
}

bool has_content(const Json& tokens, const std::string& content) {
  return std::any_of(tokens.begin(), tokens.end(),
                     [&](const Json& token) { return token["content"] == content; });
}

Json in_order(std::map<int64_t, Json> by_id) {
  Json tokens = Json::array();
  for (auto& [id, token] : by_id) {
    token["id"] = id;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// {"50256": {"content": ...}, ...} -> [{"id": 50256, "content": ...}, ...]
Json read_added_tokens(const Json& by_id) {
  require(by_id.is_object(), "expected an object, found {}", by_id.type_name());
  std::map<int64_t, Json> tokens;
  for (const auto& [key, token] : by_id.items()) {
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    require(error == std::errc() && end == key.data() + key.size() && token.is_object(),
            "\"{}\": expected an id and a token", printable(key));
    string_field(token, "content");
    tokens[id] = token;
  }
  return in_order(std::move(tokens));
}

// {"<|im_end|>": 32001, ...} -> the same; special are those that have a role.
Json read_added_ids(const Json& ids, const Json& special_tokens) {
  std::map<int64_t, Json> tokens;
  for (const auto& [content, id] : ids.items())
    tokens[json_to_count(id, content)] = {{"content", content},
                                          {"special", has_content(special_tokens, content)}};
  return in_order(std::move(tokens));
}

std::string class_of_model(const fs::path& folder) {
  const Json config = read_object(folder / "config.json");
  const Json* type = find_field(config, "model_type");
  for (const ModelClass& known : kModelClasses)
    if (type != nullptr && *type == known.model_type) return std::string(known.token_class);
  return "";
}

void find_class(const fs::path& folder, const Json& config, TokenizerSettings& settings) {
  settings.token_class = with_context((folder / kSettingsFile).string(), [&] {
    return optional_string_field(config, "tokenizer_class").value_or("");
  });
  const bool is_named = !settings.token_class.empty();
  if (settings.token_class.ends_with("Fast"))
    settings.token_class.resize(settings.token_class.size() - 4);
  if (!is_named) settings.token_class = class_of_model(folder);
  // without a word about the class or about BOS the tokenizer file is all there is
  if (!is_named && !settings.bos && !settings.add_bos && !settings.add_eos) return;
  for (const ClassTemplate& known : kClassTemplates)
    if (settings.token_class == known.token_class) settings.usual_bos = known.adds_bos;
  if (settings.token_class == "GPTNeoXTokenizer")
    settings.usual_bos_token = settings.usual_eos_token = "<|endoftext|>";
}

void read_flags(const Json& config, TokenizerSettings& settings) {
  settings.add_bos = optional_bool_field(config, "add_bos_token");
  settings.add_eos = optional_bool_field(config, "add_eos_token");
  settings.add_prefix_space = optional_bool_field(config, "add_prefix_space");
  settings.legacy = bool_field(config, "legacy", true);
}

void read_tokens(const Json& config, TokenizerSettings& settings) {
  settings.bos = role(config, "bos_token");
  settings.eos = role(config, "eos_token");
  settings.unknown = role(config, "unk_token");
  settings.padding = role(config, "pad_token");
  settings.special_tokens = read_special_tokens(config);
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const fs::path& folder) {
  TokenizerSettings settings;
  const fs::path path = folder / kSettingsFile;
  const Json config = read_object(path);
  const Json* added = find_field(config, "added_tokens_decoder");
  // the files from before added_tokens_decoder count where there is none
  const fs::path roles = folder / "special_tokens_map.json", ids = folder / "added_tokens.json";
  const Json older = added == nullptr ? read_object(roles) : Json::object();
  const Json older_ids = added == nullptr ? read_object(ids) : Json::object();
  with_context(path.string(), [&] {
    read_flags(config, settings);
    read_tokens(config, settings);
    if (added != nullptr)
      settings.added_tokens =
          with_context("added_tokens_decoder", [&] { return read_added_tokens(*added); });
  });
  if (!older.empty()) {
    Json joined = config;
    joined.update(older);
    with_context(roles.string(), [&] { read_tokens(joined, settings); });
  }
  if (!older_ids.empty())
    settings.added_tokens = with_context(
        ids.string(), [&] { return read_added_ids(older_ids, settings.special_tokens); });
  find_class(folder, config, settings);
  return settings;
}

}  // namespace halftone
