#include "text/sentencepiece_model.h"

#include <sentencepiece_processor.h>

#include <bit>

#include "base/error.h"
#include "base/files.h"
#include "text/sentencepiece_cuts.h"

namespace halftone {
namespace {

// Fields of the three messages (formats.md 11 names those that are read).
constexpr uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;
constexpr uint32_t kText = 1, kScore = 2, kType = 3;
constexpr uint32_t kModelType = 3, kByteFallback = 35, kUnknownId = 40, kBosId = 41, kEosId = 42,
                   kPaddingId = 43, kUnknownPiece = 45, kBosPiece = 46, kEosPiece = 47;
constexpr uint32_t kName = 1, kAddDummyPrefix = 3, kRemoveExtraWhitespaces = 4,
                   kEscapeWhitespaces = 5;
constexpr uint64_t kBpe = 2;

class Message {
 public:
  void add_number(uint32_t field, uint64_t value) {
    append_varint(field << 3);
    append_varint(value);
  }
  // Negative numbers take ten bytes.
  void add_id(uint32_t field, int64_t id) { add_number(field, static_cast<uint64_t>(id)); }
  void add_float(uint32_t field, float value) {
    append_varint(field << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 0xff);
  }
  void add_text(uint32_t field, const std::string& text) {
    append_varint(field << 3 | 2);
    append_varint(text.size());
    bytes_ += text;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void append_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

Message trainer_spec(const SentencePieceModel& model) {
  Message spec;
  spec.add_number(kModelType, kBpe);
  spec.add_number(kByteFallback, model.byte_fallback);
  spec.add_id(kUnknownId, model.unknown);
  spec.add_id(kBosId, model.bos);
  spec.add_id(kEosId, model.eos);
  spec.add_id(kPaddingId, -1);
  const auto add_name = [&](uint32_t field, int64_t id) {
    if (id >= 0) spec.add_text(field, model.pieces[static_cast<size_t>(id)].text);
  };
  add_name(kUnknownPiece, model.unknown);
  add_name(kBosPiece, model.bos);
  add_name(kEosPiece, model.eos);
  return spec;
}

Message normalizer_spec() {
  Message spec;
  spec.add_text(kName, "identity");
  spec.add_number(kAddDummyPrefix, true);
  spec.add_number(kRemoveExtraWhitespaces, false);
  spec.add_number(kEscapeWhitespaces, true);
  return spec;
}

int32_t type_of(const sentencepiece::SentencePieceProcessor& processor, int id,
                const std::set<std::string>& user_defined) {
  if (processor.IsUnknown(id)) return 2;
  if (processor.IsControl(id)) return 3;
  if (user_defined.contains(processor.IdToPiece(id))) return 4;
  if (processor.IsUnused(id)) return 5;
  return processor.IsByte(id) ? 6 : 1;
}

}  // namespace

std::string serialized(const SentencePieceModel& model) {
  Message whole;
  for (const SentencePiece& piece : model.pieces) {
    Message message;
    message.add_text(kText, piece.text);
    message.add_float(kScore, piece.score);
    message.add_id(kType, piece.type);
    whole.add_text(kPieces, message.bytes());
  }
  whole.add_text(kTrainerSpec, trainer_spec(model).bytes());
  whole.add_text(kNormalizerSpec, normalizer_spec().bytes());
  return whole.bytes();
}

void load_sentencepiece(std::string_view model, sentencepiece::SentencePieceProcessor& processor) {
  std::string refusal;
  try {
    const auto status = processor.LoadFromSerializedProto({model.data(), model.size()});
    if (status.ok()) return;
    refusal = status.ToString();
  } catch (const std::exception& error) {  // of a piece without a text
    refusal = error.what();
  }
  fail("not a sentencepiece model: {}", printable(refusal));
}

SentencePieceModel read_sentencepiece_model(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  sentencepiece::SentencePieceProcessor processor;
  load_sentencepiece(bytes, processor);
  const std::set<std::string> user_defined = user_defined_pieces(bytes);
  SentencePieceModel model;
  model.unknown = processor.unk_id();
  model.bos = processor.bos_id();
  model.eos = processor.eos_id();
  for (int id = 0; id < processor.GetPieceSize(); ++id)
    model.pieces.push_back(
        {processor.IdToPiece(id), processor.GetScore(id), type_of(processor, id, user_defined)});
  return model;
}

bool is_byte_piece(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && is_hex(text[3]) && is_hex(text[4]) &&
         text[5] == '>';
}

}  // namespace halftone
