// vocab.json + merges.txt, the files of GPT-2 and OPT.
#pragma once

#include <filesystem>

#include "text/json_fields.h"
#include "text/tokenizer_settings.h"

namespace halftone {

// The same as a tokenizer.json. Errors: files missing or not readable, a line of merges.txt without
// two tokens.
Json read_gpt2_files(const std::filesystem::path& folder, const TokenizerSettings& settings);

// What counts of the settings beside these files: add_bos_token puts BOS in front, add_eos_token
// changes nothing, and the class of Qwen2 takes neither.
TokenizerSettings gpt2_settings(TokenizerSettings settings);

}  // namespace halftone
