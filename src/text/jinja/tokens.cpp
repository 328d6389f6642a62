#include "text/jinja/tokens.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/utf8.h"

namespace halftone::jinja {
namespace {

constexpr std::string_view kSpace = " \t\n\r\v\f";
constexpr std::array<std::string_view, 25> kSigns = {
    "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
    ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ".", ",", ":", "|"};

bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

bool begins_name(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Cutter {
 public:
  explicit Cutter(std::string_view text) : text_(text) {
    if (text_.ends_with('\n')) text_.remove_suffix(1);
  }

  std::vector<Token> cut() {
    while (at_ < text_.size()) cut_text_and_tag();
    add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_});
  }

  void move_to(size_t to) {
    line_ += static_cast<int>(std::ranges::count(text_.substr(at_, to - at_), '\n'));
    at_ = to;
  }

  bool here(std::string_view word) const { return text_.substr(at_).starts_with(word); }

  [[noreturn]] void wrong(std::string_view what) const { fail("line {}: {}", line_, what); }

  // The next "{{", "{%" or "{#"; the end where there is none.
  size_t next_tag() const {
    for (size_t at = text_.find('{', at_); at != std::string_view::npos;
         at = text_.find('{', at + 1))
      if (at + 1 < text_.size() && is_one_of(text_[at + 1], "{%#")) return at;
    return text_.size();
  }

  void cut_text_and_tag() {
    const size_t tag = next_tag();
    std::string_view before = text_.substr(at_, tag - at_);
    const bool any = tag < text_.size(), output = any && text_[tag + 1] == '{';
    const char mark = tag + 2 < text_.size() ? text_[tag + 2] : ' ';
    if (any && mark == '-')
      before = before.substr(0, before.find_last_not_of(kSpace) + 1);
    else if (any && !output && mark != '+')
      before = without_indent(before);
    if (!before.empty()) add(Token::Kind::kText, std::string(before));
    move_to(tag);
    if (!any) return;
    if (here("{#")) return skip_comment();
    add(output ? Token::Kind::kOutput : Token::Kind::kBlock, "");
    move_to(at_ + (mark == '-' || mark == '+' ? 3 : 2));
    cut_expression(output ? "}}" : "%}", output ? Token::Kind::kOutputEnd : Token::Kind::kBlockEnd);
  }

  // Without the white space at the end, if nothing else stands in that line.
  std::string_view without_indent(std::string_view before) const {
    const size_t line = before.rfind('\n') + 1;  // 0: no line begins in it
    if (line == 0 && !line_begins_) return before;
    return before.find_first_not_of(" \t\r\v\f", line) == std::string_view::npos
               ? before.substr(0, line)
               : before;
  }

  void skip_comment() {
    const size_t end = text_.find("#}", at_ + 2);
    if (end == std::string_view::npos) wrong("a comment does not end");
    const bool all = text_[end - 1] == '-' && end > at_ + 2;
    move_to(end + 2);
    behind_tag(all, true);
  }

  // all: white space goes up to the next character; else of a block the line break
  void behind_tag(bool all, bool block) {
    line_begins_ = false;
    if (all) {
      move_to(std::min(text_.find_first_not_of(kSpace, at_), text_.size()));
      line_begins_ = at_ > 0 && text_[at_ - 1] == '\n';
    } else if (block && at_ < text_.size() && text_[at_] == '\n') {
      move_to(at_ + 1);
      line_begins_ = true;
    }
  }

  void cut_expression(std::string_view close, Token::Kind end) {
    int open = 0;  // brackets, in which "}}" closes nothing
    while (true) {
      move_to(std::min(text_.find_first_not_of(kSpace, at_), text_.size()));
      if (at_ == text_.size()) wrong("a tag does not end");
      const bool minus = here("-");
      if (open == 0 && text_.substr(at_ + (minus || here("+") ? 1 : 0)).starts_with(close)) {
        add(end, "");
        move_to(at_ + (minus || here("+") ? 3 : 2));
        return behind_tag(minus, close == "%}");
      }
      cut_word(open);
    }
  }

  void cut_word(int& open) {
    const char c = text_[at_];
    if (c == '"' || c == '\'') return cut_string(c);
    if (begins_name(c) || is_digit(c)) {
      size_t end = at_ + 1;
      const auto more = [&](char next) {
        return begins_name(next) || is_digit(next) ||
               (next == '.' && is_digit(c) && end + 1 < text_.size() && is_digit(text_[end + 1]));
      };
      while (end < text_.size() && more(text_[end])) ++end;
      add(is_digit(c) ? Token::Kind::kNumber : Token::Kind::kName,
          std::string(text_.substr(at_, end - at_)));
      return move_to(end);
    }
    const auto sign =
        std::ranges::find_if(kSigns, [&](std::string_view each) { return here(each); });
    if (sign == kSigns.end())
      wrong(fmt::format("no part of an expression: {}", printable(text_.substr(at_, 8))));
    open += is_one_of(c, "([{") ? 1 : is_one_of(c, ")]}") ? -1 : 0;
    add(Token::Kind::kSign, std::string(*sign));
    move_to(at_ + sign->size());
  }

  // What stands behind a backslash, as Python reads it. Returns how many bytes that took.
  size_t put_escaped(std::string_view rest, std::string& value) const {
    constexpr std::string_view kNamed = "ntr\\'\"", kMeant = "\n\t\r\\'\"";
    const char c = rest.front();
    if (c == '\n') return 1;
    if (const size_t known = kNamed.find(c); known != std::string_view::npos) {
      value += kMeant[known];
      return 1;
    }
    const size_t digits = c == 'u' ? 4 : c == 'x' ? 2 : 0;
    const std::string_view number = rest.substr(1, digits);
    uint32_t code = 0;
    const auto [stop, error] =
        std::from_chars(number.data(), number.data() + number.size(), code, 16);
    if (digits == 0) {  // no escape: the backslash stays
      value += '\\';
      return 0;
    }
    if (error != std::errc() || stop != number.data() + digits || (code >= 0xD800 && code < 0xE000))
      wrong(fmt::format("no character: \\{}", printable(rest.substr(0, digits + 1))));
    append_utf8(value, code);
    return digits + 1;
  }

  void cut_string(char quote) {
    std::string value;
    size_t at = at_ + 1;
    for (; at < text_.size() && text_[at] != quote; ++at) {
      if (text_[at] != '\\' || at + 1 == text_.size()) {
        value += text_[at];
        continue;
      }
      at += put_escaped(text_.substr(at + 1), value);
    }
    if (at >= text_.size()) wrong("a string does not end");
    add(Token::Kind::kString, std::move(value));
    move_to(at + 1);
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> cut_template(std::string_view text) {
  return Cutter(text).cut();
}

}  // namespace halftone::jinja
