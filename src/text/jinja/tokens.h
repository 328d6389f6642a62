// A template's text cut into what stands as it is and the words of its tags.
//
// White space goes as Hugging Face's chat templates expect it (trim_blocks, lstrip_blocks): the
// line break behind a block or comment is part of it, and so is the white space in front of one
// that begins a line; "-" inside a tag takes all white space on its side.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace halftone::jinja {

struct Token {
  enum class Kind {
    kText,
    kOutput,
    kOutputEnd,
    kBlock,
    kBlockEnd,
    kName,
    kString,
    kNumber,
    kSign,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  // of a string without quotes and escapes
  int line = 1;
};

// Ends with a kEnd. Errors, behind "line N": a tag, string or comment without an end; a character
// that no expression has.
std::vector<Token> cut_template(std::string_view text);

}  // namespace halftone::jinja
