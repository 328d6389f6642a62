// tokenizer.model, or its bytes, read by the sentencepiece library.
#pragma once

#include <filesystem>
#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizer_settings.h"

namespace halftone {

// BOS is added unless `settings` say otherwise or the model has none, by whatever class. Errors:
// the library refuses the file; a token to be put around texts is none.
std::unique_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& path,
                                                    const TokenizerSettings& settings);
std::unique_ptr<const Tokenizer> make_sentencepiece(const std::string& model,
                                                    const TokenizerSettings& settings);

}  // namespace halftone
