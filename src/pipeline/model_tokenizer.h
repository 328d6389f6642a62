// The tokenizer of a model, in whatever kind of file the model is.
#pragma once

#include <filesystem>
#include <memory>

#include "text/chat_template.h"
#include "text/gguf_export.h"
#include "text/text_rows.h"
#include "text/tokenizer.h"

namespace halftone {

// Of a folder, a tokenizer file (open_tokenizer), or a GGUF file by its metadata
// (open_gguf_vocabulary). Errors: theirs, behind the path.
std::unique_ptr<const Tokenizer> open_model_tokenizer(const std::filesystem::path& path);

// The chat template of a folder, or of a GGUF file's metadata. Errors: theirs, behind the path;
// there is none.
ChatTemplate open_model_chat(const std::filesystem::path& path);

// Writes whole conversations in the model's own chat template, which the first of them opens.
// Errors: those of open_model_chat and of the template, as the conversation is written.
WriteChat model_chat_writer(const std::filesystem::path& path);

// The tokenizer as the metadata of a GGUF file: of a folder as gguf_export_of says it, of a GGUF
// file as it is.   rows: of the model's embedding
GgufExport model_vocabulary(const std::filesystem::path& path, int64_t rows);

}  // namespace halftone
