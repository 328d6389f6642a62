#include "text/chat_template.h"

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "base/utf8.h"
#include "text/jinja/parser.h"
#include "text/jinja/run.h"
#include "text/json_fields.h"
#include "text/tokenizer_settings.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

// Of a list of {name, template} the one called "default".
std::string default_of(const Json& templates) {
  for (const Json& each : templates)
    if (each.is_object() && string_field(each, "name") == "default")
      return string_field(each, "template");
  return "";
}

}  // namespace

std::string chat_template_of(const fs::path& folder) {
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file))
    return read_file(file);
  const fs::path settings = folder / "tokenizer_config.json";
  if (!fs::exists(settings)) return "";
  return with_path(settings, [&]() -> std::string {
    const Json config = parse_json(read_file(settings));
    const Json* found = find_field(config, "chat_template");
    if (found == nullptr) return "";
    if (found->is_array()) return default_of(*found);
    return string_field(config, "chat_template");
  });
}

ChatTemplate::ChatTemplate(std::string_view text, std::string bos, std::string eos)
    : statements_(with_context("chat template", [&] { return jinja::parse_template(text); })),
      bos_(std::move(bos)),
      eos_(std::move(eos)) {}

std::string ChatTemplate::written(const std::vector<ChatTurn>& turns, bool to_be_answered) const {
  jinja::Value messages = jinja::Value::array();
  for (const ChatTurn& turn : turns) {
    const size_t invalid = first_invalid_utf8(turn.content);
    require(invalid == turn.content.size(), "the text is not UTF-8 at byte {}", invalid);
    messages.push_back({{"role", turn.role}, {"content", turn.content}});
  }
  jinja::Value variables = {{"messages", std::move(messages)},
                            {"add_generation_prompt", to_be_answered}};
  if (!bos_.empty()) variables["bos_token"] = bos_;
  if (!eos_.empty()) variables["eos_token"] = eos_;
  return with_context("chat template", [&] { return jinja::run_template(statements_, variables); });
}

ChatTemplate open_chat_template(const fs::path& folder) {
  const TokenizerSettings settings = read_tokenizer_settings(folder);
  return with_path(folder, [&] {
    const std::string text = chat_template_of(folder);
    require(!text.empty(),
            "no chat template (chat_template.jinja, or chat_template in tokenizer_config.json); "
            "likely no model for chats");
    return ChatTemplate(text, settings.bos.value_or(""), settings.eos.value_or(""));
  });
}

}  // namespace halftone
