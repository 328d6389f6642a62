// tokenizer_config.json: what a model folder says about its tokenizer beside the tokenizer file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "text/json_fields.h"

namespace halftone {

struct TokenizerSettings {
  std::optional<bool> add_bos, add_eos;  // nothing: the tokenizer file decides
  std::optional<std::string> bos, eos, unknown, padding;
  bool add_prefix_space = false;
  Json added_tokens = Json::array();  // as in tokenizer.json; may be empty
};

// Without such a file: nothing is set. Errors: not JSON, fields of another type.
TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder);

}  // namespace halftone
