// The tokenizer that a GGUF file's metadata describes ("tokenizer.ggml.*"; formats.md 11), read as
// llama.cpp reads it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace halftone {

// "tokenizer.ggml.token_type"
enum class GgufTokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Keys are those of the members' names under "tokenizer.ggml." unless said otherwise. What a file
// leaves out is empty.
struct GgufVocabulary {
  std::string model;  // "gpt2": byte-level BPE; "llama": SentencePiece's BPE by score
  std::string pre;    // how byte-level BPE cuts a text into words
  std::vector<std::string> tokens;
  std::vector<float> scores;                               // of each token
  std::vector<int32_t> types;                              // of each token: "token_type"
  std::vector<std::string> merges;                         // "a b", the first merged first
  std::optional<int64_t> bos, eos, unknown, padding;       // "bos_token_id", ...
  std::optional<bool> add_bos, add_eos, add_space_prefix;  // "add_bos_token", ...
  std::string chat_template;                               // "tokenizer.chat_template"
};

// Control, unknown and user-defined tokens are found in a text before anything else looks at it.
// Errors: a model or a pre-tokenizer that is not known (named, with those that are); arrays of
// another length than `tokens`; ids outside it; a token given twice; text that is not UTF-8; merges
// of what is no token.
std::unique_ptr<const Tokenizer> open_gguf_vocabulary(const GgufVocabulary& vocabulary);

}  // namespace halftone
