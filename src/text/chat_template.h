// A model's own chat template: turns of a conversation as the one text that the model was trained
// to go on with. Templates are written in Jinja; the part of it that they use is known here
// (formats.md 11.1), the rest refused by name.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/tree.h"

namespace halftone {

struct ChatTurn {
  std::string role, content;  // "system", "user", "assistant"
};

class ChatTemplate {
 public:
  // bos, eos: the texts of the tokens; "" where the model has none. Errors: those of
  // parse_template.
  explicit ChatTemplate(std::string_view text, std::string bos = "", std::string eos = "");

  // With the marks that begin the model's own turn. Templates that do without the date get none, so
  // that the same turns give the same text on every day. Errors: those of run_template.
  std::string render(const std::vector<ChatTurn>& turns) const { return written(turns, true); }
  // A conversation that has been held, without these marks.
  std::string render_whole(const std::vector<ChatTurn>& turns) const {
    return written(turns, false);
  }

 private:
  std::string written(const std::vector<ChatTurn>& turns, bool to_be_answered) const;

  std::vector<jinja::Statement> statements_;
  std::string bos_, eos_;
};

// The text of a folder's template: chat_template.jinja, else `chat_template` of
// tokenizer_config.json (of several the one called "default"); "" where there is none.
std::string chat_template_of(const std::filesystem::path& folder);

// The same ready to be used. Errors, behind the folder: there is none; those of ChatTemplate.
ChatTemplate open_chat_template(const std::filesystem::path& folder);

}  // namespace halftone
