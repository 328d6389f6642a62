// "pre_tokenizer" of tokenizer.json: cuts text into the pieces that BPE sees.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_fields.h"

namespace halftone {

struct Pieces {
  std::vector<std::string_view> views;  // into the text, or into `rewritten`
  std::deque<std::string> rewritten;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Appends the pieces of valid UTF-8, none of them empty. `at_start`: `text` begins where the
  // whole text begins.
  virtual void split(std::string_view text, bool at_start, Pieces& pieces) const = 0;
  // The pieces' bytes are to be spelled as GPT-2 does (byte_level.h) before BPE sees them.
  virtual bool spells_bytes() const { return false; }
};

// In order; without any, the whole text is one piece. Errors: a kind that is not supported,
// ByteLevel before the end.
class PreTokenizers {
 public:
  PreTokenizers() = default;
  explicit PreTokenizers(const Json* description);
  void split(std::string_view text, bool at_start, Pieces& pieces) const;
  bool spell_bytes() const { return !steps_.empty() && steps_.back()->spells_bytes(); }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> steps_;
};

}  // namespace halftone
