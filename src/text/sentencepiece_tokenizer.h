// tokenizer.model, read by the sentencepiece library.
#pragma once

#include <filesystem>
#include <memory>

#include "text/tokenizer.h"
#include "text/tokenizer_settings.h"

namespace halftone {

// BOS is added unless `settings` say otherwise or the model has none. Error: the library refuses
// the file.
std::unique_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& path,
                                                    const TokenizerSettings& settings);

}  // namespace halftone
