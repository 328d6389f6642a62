// A folder's tokenizer as the metadata of a GGUF file: what llama.cpp's converter writes.
//
// Deviations: the pre-tokenizer is named after where it cuts a text, not after a hash of ids; a
// BPE with byte fallback gets scores by the rank of its merges (the converter gives all one score);
// whether BOS and EOS are added, and a space in front, is always said.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "text/gguf_vocabulary.h"

namespace halftone {

struct GgufExport {
  GgufVocabulary vocabulary;
  std::string note;  // where GGUF cannot say what the folder says; empty: the ids are the same
};

// `rows`: of the model's embedding; ids that are no token become "[PADi]", unused. Errors: those of
// open_tokenizer; more tokens than rows; a pre-tokenizer that has no name in GGUF.
GgufExport gguf_export_of(const std::filesystem::path& folder, int64_t rows);

}  // namespace halftone
