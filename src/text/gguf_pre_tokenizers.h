// "tokenizer.ggml.pre": what a GGUF file calls the expressions that cut text into words.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_fields.h"
#include "text/pre_tokenizer.h"

namespace halftone {

struct GgufPreTokenizer {
  std::string_view names;  // with spaces between
  // Each cuts what the ones before it left, matches and gaps alike.
  std::span<const char* const> expressions;
  bool ignore_merges = false;  // a word that is a token is that token
  bool adds_bos = false;       // where "add_bos_token" does not say
  bool has_bos = true;         // where "bos_token_id" does not say, it is llama.cpp's usual one
  bool composes = false;       // to NFC, as the model's own tokenizer does
};

// Empty: "default". Error: not known.
const GgufPreTokenizer& find_gguf_pre_tokenizer(std::string_view name);

// "normalizer", "pre_tokenizer" and "decoder" as in tokenizer.json.
Json text_parts_of(const GgufPreTokenizer& row);

struct WordRules {
  bool ignores_merges, composes;
};

// The first name whose expressions cut `probe` where `folder` cuts it; among those one with the
// same rules, if there is one. Error: none cuts so.
std::string name_of_pre_tokenizer(const PreTokenizers& folder, std::string_view probe,
                                  WordRules rules);

// Every name, for tests.
std::vector<std::string> gguf_pre_tokenizer_names();

}  // namespace halftone
