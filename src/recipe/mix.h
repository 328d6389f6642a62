// Mixes: which GGUF type each matrix of a model gets, as data (recipes/mixes/*.toml), under the
// names that llama.cpp's quantizer gave them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace halftone {

// Which blocks of a model, with integer division as in llama.cpp.
struct MixBlocks {
  enum class Kind {
    kAll,
    kMore,       // "more": the first and the last eighth, and every third between
    kMiddle,     // "middle": all but the first and the last eighth
    kFirst,      // "first N"
    kFirstShare  // "first 1/N"
  };
  Kind kind = Kind::kAll;
  int64_t number = 0;  // N

  bool holds(int64_t block, int64_t blocks) const;
  bool operator==(const MixBlocks&) const = default;
};

// What holds for some linears in place of the mix's own type.
struct MixRule {
  std::vector<std::string> tensors;  // as GGUF names them inside a block: "attn_v"
  MixBlocks blocks = {};
  int64_t least_gqa = 0;  // only of models with so many query heads for each key head
  std::string type;
};

struct Mix {
  std::string name, summary;
  uint32_t file_type = 0;  // general.file_type
  std::string type, embedding, head;
  std::vector<MixRule> rules;

  // Of a linear: by the last rule that holds.   block: of `blocks`; gqa: query heads / key heads
  const std::string& type_of(std::string_view tensor, int64_t block, int64_t blocks,
                             int64_t gqa) const;
};

// Errors name the line, the key and what was expected.
Mix parse_mix(std::string_view toml, std::string name);

// The mixes that come with the program, embedded at build time: name and TOML text, sorted.
const std::vector<std::pair<std::string, std::string>>& builtin_mixes();

// Error listing the known ones if there is none such.
Mix find_mix(const std::string& name);
bool is_mix(std::string_view name);
std::string mix_names();  // "IQ2_M, IQ2_S, ..."

}  // namespace halftone
