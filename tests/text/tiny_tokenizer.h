// tokenizer.json files made up for a test.
#pragma once

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/fixtures.h"
#include "text/hf_tokenizer.h"

namespace halftone::testing {

// "model" of a BPE tokenizer; ids count up from 0.
inline nlohmann::json bpe_model(const std::vector<std::string>& tokens,
                                const std::vector<std::string>& merges = {}) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary[tokens[id]] = id;
  return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}};
}

inline std::unique_ptr<const Tokenizer> make_tokenizer(const nlohmann::json& description) {
  return std::make_unique<HfTokenizer>(description, TokenizerSettings{});
}

inline void write_text(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace halftone::testing
