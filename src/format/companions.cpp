#include "format/companions.h"

#include <array>

#include "base/files.h"

namespace halftone {
namespace {

constexpr std::array kCompanions = {
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tekken.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
};

}  // namespace

void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* name : kCompanions)
    if (std::filesystem::is_regular_file(from / name))
      write_file_atomically(to / name, read_file(from / name));
}

nlohmann::json without_quantization(nlohmann::json config) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"})
    config.erase(key);
  return config;
}

}  // namespace halftone
