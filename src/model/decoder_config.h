// What config.json says of a decoder's sizes, for families that each spell them their own way
// (GPT-2's n_embd). An absent key means what the family's configuration class fills in.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/config.h"

namespace halftone {

struct SizeKey {
  const char* name;
  int64_t otherwise;
};

struct DecoderKeys {
  SizeKey layers, hidden, heads, vocab, context;
  SizeKey intermediate;  // otherwise 0: four times hidden
  const char* epsilon;   // 1e-5 where it is absent; null: always
  const char* activation;
  const char* activation_otherwise;
  bool tied;  // where tie_word_embeddings is absent
};

// One key/value head a head, no rotation, no window. Errors: a size that is no whole number above
// 0; hidden that is no multiple of heads; an activation that is not known.
ModelConfig parse_decoder(const nlohmann::json& config, const DecoderKeys& keys);

// Key/value heads that several heads share. Error: heads that are no multiple of them.   key: what
// config.json calls them
void share_heads(int64_t kv_heads, const char* key, ModelConfig& model);

// Settings that would change the model and are computed one way alone: an Error names the first
// that says otherwise.
void require_flags(const nlohmann::json& config,
                   std::initializer_list<std::pair<const char*, bool>> only);

}  // namespace halftone
