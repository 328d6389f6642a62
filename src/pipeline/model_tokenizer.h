// The tokenizer of a model, in whatever kind of file the model is.
#pragma once

#include <filesystem>
#include <memory>

#include "text/tokenizer.h"

namespace halftone {

// Of a folder, a tokenizer file (open_tokenizer), or a GGUF file by its metadata
// (open_gguf_vocabulary). Errors: theirs, behind the path.
std::unique_ptr<const Tokenizer> open_model_tokenizer(const std::filesystem::path& path);

}  // namespace halftone
