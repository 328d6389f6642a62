// Reads and writes the bytes of a tokenizer.model (the protocol buffer sentencepiece_model.proto of
// https://github.com/google/sentencepiece).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace halftone {

struct SentencePiece {
  std::string text;
  float score;
  int32_t type;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
};

// BPE by score that changes no characters. `bos`, `eos`: ids, -1: none.
struct SentencePieceModel {
  std::vector<SentencePiece> pieces;
  int64_t unknown = 0, bos = -1, eos = -1;
  bool byte_fallback = false;
};

// For the library to read.
std::string serialized(const SentencePieceModel& model);

// Hands a model to the library. Error: it refuses it, by its status or by an exception.
void load_sentencepiece(std::string_view model, sentencepiece::SentencePieceProcessor& processor);

// What the library reads in a file. Error: it refuses the file.
SentencePieceModel read_sentencepiece_model(const std::filesystem::path& path);

// <0x00> to <0xFF>: the piece of a byte.
bool is_byte_piece(std::string_view text);

}  // namespace halftone
