// A model's numbers and its tokenizer as the metadata of a GGUF file, with the keys that
// llama.cpp's converter writes (formats.md 12).
#pragma once

#include "format/gguf_head.h"
#include "pipeline/opened_model.h"

namespace halftone {

// model: the network that is written, the source's own or a rewritten one. Errors: an architecture,
// a window or a tokenizer that no GGUF file can describe.
GgufHead gguf_head_of(const OpenedModel& source, const Model& model);

// The same without the tokenizer: what the config alone says.
GgufHead gguf_numbers_of(const OpenedModel& source, const Model& model);

}  // namespace halftone
