// Where a text may be cut so that a sentencepiece model gives its parts the ids it gives the whole.
//
// The library merges a whole text in one heap, below 1 MB a second; most of a text are words seen
// before. A text is cut between x and y in "x y", and the space left out, where the model
//   - adds a space in front of each text and changes no characters (no normalization rules),
//   - has no piece in which a space follows another character, so that no piece reaches over the
//   place,
//   - knows x and the space, so that no run of unknown characters, which become one token, reaches
//   over it.
#pragma once

#include <bitset>
#include <set>
#include <string>
#include <string_view>

namespace halftone {

class SentencePieceCuts {
 public:
  // `model`: the bytes of a tokenizer.model. What cannot be read allows no cuts.
  explicit SentencePieceCuts(std::string_view model);

  // End of the part that begins at `begin`: the place of a space to be left out, or the end of the
  // text.
  size_t part_end(std::string_view text, size_t begin) const;

 private:
  void read_piece(std::string_view piece);

  std::bitset<128> known_;  // ASCII characters that are pieces
  bool knows_space_ = false, possible_ = true;
};

// The pieces that whoever trained the model asked for ("user defined"), which are found in a text
// before it is cut into pieces.
std::set<std::string> user_defined_pieces(std::string_view model);

}  // namespace halftone
