#include "text/sentencepiece_cuts.h"

#include <cstdint>
#include <optional>

namespace halftone {
namespace {

constexpr std::string_view kSpace = "\u2581";

// Field numbers of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3 };
enum PieceField { kPieceText = 1, kPieceType = 3 };
enum TrainerField { kWhitespaceAsSuffix = 24 };
enum NormalizerField { kCharsMap = 2, kAddDummyPrefix = 3, kEscapeWhitespaces = 5 };
constexpr uint64_t kNormalPiece = 1, kUserDefinedPiece = 4;

struct ProtoField {
  uint64_t number = 0;
  uint64_t value = 0;      // of a varint
  std::string_view bytes;  // of a string or a message
};

std::optional<uint64_t> take_varint(std::string_view& proto) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !proto.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(proto.front());
    proto.remove_prefix(1);
    value |= uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> take_bytes(std::string_view& proto, uint64_t count) {
  if (count > proto.size()) return std::nullopt;
  const std::string_view bytes = proto.substr(0, count);
  proto.remove_prefix(count);
  return bytes;
}

// The next field; nothing where the message is broken.
std::optional<ProtoField> take_field(std::string_view& proto) {
  const auto key = take_varint(proto);
  if (!key) return std::nullopt;
  ProtoField field{*key >> 3, 0, {}};
  const uint64_t wire_type = *key & 7;
  if (wire_type == 1 || wire_type == 5)
    return take_bytes(proto, wire_type == 1 ? 8 : 4) ? std::optional(field) : std::nullopt;
  const auto value = take_varint(proto);
  if (!value || (wire_type != 0 && wire_type != 2)) return std::nullopt;
  field.value = *value;
  if (wire_type == 0) return field;
  const auto bytes = take_bytes(proto, *value);
  if (!bytes) return std::nullopt;
  field.bytes = *bytes;
  return field;
}

// Calls visit(field) for each; false where the message is broken.
template <class Visit>
bool for_each_field(std::string_view proto, Visit&& visit) {
  while (!proto.empty()) {
    const auto field = take_field(proto);
    if (!field) return false;
    visit(*field);
  }
  return true;
}

bool normalizes_nothing_and_adds_a_space(std::string_view normalizer) {
  bool fits = true;
  const bool whole = for_each_field(normalizer, [&](const ProtoField& field) {
    if (field.number == kCharsMap) fits &= field.bytes.empty();
    if (field.number == kAddDummyPrefix || field.number == kEscapeWhitespaces)
      fits &= field.value != 0;
  });
  return whole && fits;
}

bool puts_spaces_in_front(std::string_view trainer) {
  bool fits = true;
  const bool whole = for_each_field(trainer, [&](const ProtoField& field) {
    if (field.number == kWhitespaceAsSuffix) fits &= field.value == 0;
  });
  return whole && fits;
}

}  // namespace

SentencePieceCuts::SentencePieceCuts(std::string_view model) {
  const bool whole = for_each_field(model, [&](const ProtoField& field) {
    if (field.number == kPieces) read_piece(field.bytes);
    if (field.number == kTrainerSpec) possible_ &= puts_spaces_in_front(field.bytes);
    if (field.number == kNormalizerSpec)
      possible_ &= normalizes_nothing_and_adds_a_space(field.bytes);
  });
  possible_ &= whole && knows_space_;
}

void SentencePieceCuts::read_piece(std::string_view piece) {
  std::string_view text;
  uint64_t type = kNormalPiece;
  possible_ &= for_each_field(piece, [&](const ProtoField& field) {
    if (field.number == kPieceText) text = field.bytes;
    if (field.number == kPieceType) type = field.value;
  });
  if (type == kNormalPiece && text == kSpace) knows_space_ = true;
  if (type == kNormalPiece && text.size() == 1 && static_cast<unsigned char>(text[0]) < 128)
    known_.set(static_cast<size_t>(text[0]));
  while (text.starts_with(kSpace)) text.remove_prefix(kSpace.size());
  possible_ &= text.find(kSpace) == text.npos && text.find(' ') == text.npos;
}

size_t SentencePieceCuts::part_end(std::string_view text, size_t begin) const {
  if (!possible_) return text.size();
  for (size_t at = begin; (at = text.find(' ', at + 1)) != text.npos;) {
    const auto before = static_cast<unsigned char>(text[at - 1]);
    const bool single = before != ' ' && at + 1 < text.size() && text[at + 1] != ' ';
    if (single && before < 128 && known_[before]) return at;
  }
  return text.size();
}

std::set<std::string> user_defined_pieces(std::string_view model) {
  std::set<std::string> pieces;
  for_each_field(model, [&](const ProtoField& field) {
    if (field.number != kPieces) return;
    std::string_view text;
    uint64_t type = kNormalPiece;
    for_each_field(field.bytes, [&](const ProtoField& inner) {
      if (inner.number == kPieceText) text = inner.bytes;
      if (inner.number == kPieceType) type = inner.value;
    });
    if (type == kUserDefinedPiece) pieces.emplace(text);
  });
  return pieces;
}

}  // namespace halftone
