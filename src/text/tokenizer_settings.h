// What a model folder says about its tokenizer beside the tokenizer file: tokenizer_config.json,
// special_tokens_map.json, added_tokens.json, and the model's type in config.json.
//
// Read as transformers 4.57 reads them. Version 5 differs for the classes of Llama, Gemma and
// GPT-NeoX alone: it leaves their add_bos_token and add_eos_token aside where there is a
// tokenizer.json, and adds no BOS where there is only a tokenizer.model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "text/json_fields.h"

namespace halftone {

struct TokenizerSettings {
  // As transformers names it, without "Fast"; empty: nobody says.
  std::string token_class;
  // A class that makes its own template: what add_bos_token is where nobody says. Nothing: the
  // template of the tokenizer file stands, and the flags do not count.
  std::optional<bool> usual_bos;
  std::string usual_bos_token = "<s>", usual_eos_token = "</s>";  // where nobody names them
  std::optional<bool> add_bos, add_eos;
  std::optional<std::string> bos, eos, unknown, padding;
  std::optional<bool> add_prefix_space;
  // tokenizer.model: every text between special tokens gets a space in front, not the first alone.
  bool legacy = true;
  Json added_tokens = Json::array();    // as in tokenizer.json, in the order of their ids
  Json special_tokens = Json::array();  // the same without ids: those that have a role
};

// Without such files: nothing is set. Errors: not JSON, fields of another type.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

}  // namespace halftone
