// The words of a template, one after another, as the two parsers take them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/jinja/tokens.h"

namespace halftone::jinja {

class Words {
 public:
  explicit Words(std::string_view text) : tokens_(cut_template(text)) {}

  const Token& now() const { return tokens_[at_]; }
  bool is(Token::Kind kind) const { return now().kind == kind; }
  bool is(std::string_view sign) const { return is(Token::Kind::kSign) && now().text == sign; }
  bool is_word(std::string_view word) const { return is(Token::Kind::kName) && now().text == word; }
  // The one behind `now`; not asked for at the end.
  bool next_is(Token::Kind kind, std::string_view text) const {
    return tokens_[at_ + 1].kind == kind && next_text() == text;
  }
  const std::string& next_text() const { return tokens_[at_ + 1].text; }
  // Whether this is a block that begins with the word.
  bool is_block(std::string_view word) const {
    return is(Token::Kind::kBlock) && next_is(Token::Kind::kName, word);
  }

  // Each takes what it is asked for and says whether it was there, or needs it to be.
  std::string any() { return tokens_[at_++].text; }
  void skip(int count) { at_ += static_cast<size_t>(count); }
  bool take(std::string_view sign) { return take_if(is(sign)); }
  bool take_word(std::string_view word) { return take_if(is_word(word)); }
  void need(std::string_view sign) {
    if (!take(sign)) wrong(fmt::format("expected {}", sign));
  }
  void need(Token::Kind kind, std::string_view what) {
    if (!take_if(is(kind))) wrong(fmt::format("expected {}", what));
  }
  std::string name() {
    if (!is(Token::Kind::kName)) wrong("expected a name");
    return any();
  }

  [[noreturn]] void wrong(std::string_view what) const {
    const std::string& found = now().text;
    fail("line {}: {}, found {}", now().line, what,
         found.empty() ? "the end of a tag" : printable(found, 40));
  }

  // Held while something is parsed that may hold itself again.
  class Level {
   public:
    explicit Level(Words& words) : words_(words) {
      if (++words_.depth_ > kMostDepth) words_.wrong("nested too deep");
    }
    ~Level() { --words_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Words& words_;
  };

 private:
  static constexpr int kMostDepth = 100;

  bool take_if(bool found) {
    at_ += found;
    return found;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace halftone::jinja
