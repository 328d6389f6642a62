#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "base/utf8.h"
#include "text/jinja/expressions.h"
#include "text/jinja/words.h"

namespace halftone::jinja {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : words_(text) {}

  std::vector<Statement> parse() {
    std::vector<Statement> all = body({});
    words_.need(Token::Kind::kEnd, "the end of the template");
    return all;
  }

 private:
  // Up to the block whose first word is one of `ends`, or to the end.
  std::vector<Statement> body(std::initializer_list<std::string_view> ends) {
    const Words::Level level(words_);
    std::vector<Statement> all;
    while (words_.now().kind != Token::Kind::kEnd) {
      if (words_.is(Token::Kind::kBlock) &&
          std::ranges::find(ends, words_.next_text()) != ends.end())
        break;
      statement(all);
    }
    return all;
  }

  void statement(std::vector<Statement>& all) {
    Statement one;
    one.line = words_.now().line;
    if (words_.is(Token::Kind::kText)) {
      one.text = words_.any();
      return all.push_back(std::move(one));
    }
    if (words_.is(Token::Kind::kOutput)) {
      words_.skip(1);
      one.kind = Statement::Kind::kOutput;
      one.value = parse_expression(words_);
      words_.need(Token::Kind::kOutputEnd, "the end of the tag");
      return all.push_back(std::move(one));
    }
    words_.need(Token::Kind::kBlock, "a tag");
    if (words_.take_word("generation") || words_.take_word("endgeneration"))
      return words_.need(Token::Kind::kBlockEnd, "the end of the tag");  // marks, no text
    block(one);
    all.push_back(std::move(one));
  }

  void block(Statement& one) {
    if (words_.take_word("set")) return set(one);
    if (words_.take_word("if")) return condition(one);
    if (words_.take_word("for")) return loop(one);
    if (words_.take_word("macro")) return macro(one);
    for (const auto& [word, kind] :
         {std::pair{"break", Statement::Kind::kBreak}, {"continue", Statement::Kind::kContinue}})
      if (words_.take_word(word)) {
        if (loops_ == 0) words_.wrong("expected a loop around it");
        one.kind = kind;
        return words_.need(Token::Kind::kBlockEnd, "the end of the tag");
      }
    words_.wrong(
        "expected set, if, for, macro, break or continue (no other block of Jinja is known here)");
  }

  void set(Statement& one) {
    one.kind = Statement::Kind::kSet;
    one.targets.push_back(words_.name());
    if (words_.take(".")) one.targets.push_back(words_.name());
    words_.need("=");
    one.value = parse_expression(words_);
    words_.need(Token::Kind::kBlockEnd, "the end of the tag");
  }

  void end_of(std::string_view word) {
    words_.need(Token::Kind::kBlock, "a tag");
    if (!words_.take_word(word)) words_.wrong(fmt::format("expected {}", word));
    words_.need(Token::Kind::kBlockEnd, "the end of the tag");
  }

  void condition(Statement& one) {
    one.kind = Statement::Kind::kIf;
    one.value = parse_expression(words_);
    words_.need(Token::Kind::kBlockEnd, "the end of the tag");
    one.body = body({"elif", "else", "endif"});
    if (words_.is_block("elif")) {
      Statement other;
      other.line = words_.now().line;
      words_.skip(2);
      const Words::Level level(words_);
      condition(other);  // which takes the common endif
      return one.otherwise.push_back(std::move(other));
    }
    otherwise(one, "endif");
  }

  void otherwise(Statement& one, std::string_view end) {
    if (words_.is_block("else")) {
      words_.skip(2);
      words_.need(Token::Kind::kBlockEnd, "the end of the tag");
      one.otherwise = body({end});
    }
    end_of(end);
  }

  void loop(Statement& one) {
    one.kind = Statement::Kind::kFor;
    do one.targets.push_back(words_.name());
    while (words_.take(","));
    if (!words_.take_word("in")) words_.wrong("expected in");
    one.value = parse_sequence(words_);
    if (words_.take_word("if")) one.filter = parse_expression(words_);
    words_.need(Token::Kind::kBlockEnd, "the end of the tag");
    ++loops_;
    one.body = body({"else", "endfor"});
    --loops_;
    otherwise(one, "endfor");
  }

  void macro(Statement& one) {
    one.kind = Statement::Kind::kMacro;
    one.text = words_.name();
    words_.need("(");
    while (!words_.take(")")) {
      one.targets.push_back(words_.name());
      one.defaults.push_back(words_.take("=") ? parse_expression(words_) : nullptr);
      if (!words_.is(")")) words_.need(",");
    }
    words_.need(Token::Kind::kBlockEnd, "the end of the tag");
    one.body = body({"endmacro"});
    end_of("endmacro");
  }

  Words words_;
  int loops_ = 0;
};

}  // namespace

std::vector<Statement> parse_template(std::string_view text) {
  const size_t invalid = first_invalid_utf8(text);
  require(invalid == text.size(), "line {}: not UTF-8 at byte {}",
          1 + std::ranges::count(text.substr(0, invalid), '\n'), invalid);
  return Parser(text).parse();
}

}  // namespace halftone::jinja
