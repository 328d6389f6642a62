#include "text/jinja/expressions.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

namespace halftone::jinja {
namespace {

using Kind = Expression::Kind;

class Parser {
 public:
  explicit Parser(Words& words) : words_(words) {}

  Expression node(Kind kind, std::string text = {}) const {
    Expression made;
    made.kind = kind;
    made.line = words_.now().line;
    made.name = std::move(text);
    return made;
  }
  static ExpressionPtr keep(Expression made) {
    return std::make_unique<const Expression>(std::move(made));
  }

  ExpressionPtr binary(std::string sign, ExpressionPtr left, ExpressionPtr right) {
    Expression made = node(Kind::kBinary, std::move(sign));
    made.parts.push_back(std::move(left));
    made.parts.push_back(std::move(right));
    return keep(std::move(made));
  }

  ExpressionPtr expression() {
    const Words::Level level(words_);
    ExpressionPtr value = or_expression();
    while (words_.take_word("if")) {
      Expression made = node(Kind::kCondition);
      made.parts.push_back(std::move(value));
      made.parts.push_back(or_expression());
      made.parts.push_back(words_.take_word("else") ? expression() : nullptr);
      value = keep(std::move(made));
    }
    return value;
  }

  ExpressionPtr or_expression() {
    ExpressionPtr left = and_expression();
    while (words_.take_word("or")) left = binary("or", std::move(left), and_expression());
    return left;
  }

  ExpressionPtr and_expression() {
    ExpressionPtr left = not_expression();
    while (words_.take_word("and")) left = binary("and", std::move(left), not_expression());
    return left;
  }

  ExpressionPtr not_expression() {
    if (!words_.take_word("not")) return comparison();
    const Words::Level level(words_);
    Expression made = node(Kind::kNot);
    made.parts.push_back(not_expression());
    return keep(std::move(made));
  }

  ExpressionPtr comparison() {
    ExpressionPtr left = sum();
    if (const std::string sign = comparing(); !sign.empty()) {
      left = binary(sign, std::move(left), sum());
      if (!comparing().empty())
        words_.wrong("expected one comparison (chains of them are not known here)");
    }
    return left;
  }

  std::string comparing() {
    for (const char* sign : {"==", "!=", "<=", ">=", "<", ">"})
      if (words_.take(sign)) return sign;
    if (words_.take_word("in")) return "in";
    if (!words_.is_word("not") || !words_.next_is(Token::Kind::kName, "in")) return "";
    words_.skip(2);
    return "not in";
  }

  ExpressionPtr left_to_right(std::initializer_list<const char*> signs,
                              ExpressionPtr (Parser::*part)()) {
    ExpressionPtr left = (this->*part)();
    while (true) {
      const auto sign =
          std::ranges::find_if(signs, [&](const char* each) { return words_.take(each); });
      if (sign == signs.end()) return left;
      left = binary(*sign, std::move(left), (this->*part)());
    }
  }
  ExpressionPtr sum() { return left_to_right({"+", "-"}, &Parser::joined); }
  ExpressionPtr joined() { return left_to_right({"~"}, &Parser::product); }
  ExpressionPtr product() { return left_to_right({"*", "//", "/", "%"}, &Parser::signed_value); }

  ExpressionPtr signed_value() {
    if (!words_.take("-")) return filtered(with_items(primary()));
    const Words::Level level(words_);
    Expression made = node(Kind::kMinus);
    made.parts.push_back(signed_value());
    return keep(std::move(made));
  }

  ExpressionPtr constant(Value value) {
    Expression made = node(Kind::kConstant);
    made.constant = std::move(value);
    return keep(std::move(made));
  }

  ExpressionPtr number(const std::string& text) {
    int64_t whole = 0;
    const char* end = text.data() + text.size();
    if (const auto [stop, error] = std::from_chars(text.data(), end, whole);
        error == std::errc() && stop == end)
      return constant(whole);
    double real = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, real);
    if (error != std::errc() || stop != end) words_.wrong("expected a number");
    return constant(real);
  }

  ExpressionPtr primary() {
    const Token& token = words_.now();
    switch (token.kind) {
      case Token::Kind::kString: {
        std::string text = words_.any();
        while (words_.is(Token::Kind::kString)) text += words_.any();
        return constant(text);
      }
      case Token::Kind::kNumber:
        return number(words_.any());
      case Token::Kind::kName:
        return named();
      default:
        break;
    }
    if (words_.take("(")) {
      ExpressionPtr inner = expression();
      words_.need(")");
      return inner;
    }
    if (words_.take("[")) return list();
    if (words_.take("{")) return dict();
    words_.wrong("expected a value");
  }

  ExpressionPtr named() {
    const std::string word = words_.name();
    if (word == "true" || word == "True") return constant(true);
    if (word == "false" || word == "False") return constant(false);
    if (word == "none" || word == "None") return constant(nullptr);
    Expression made = node(Kind::kName, word);
    if (words_.take("(")) {
      made.kind = Kind::kCall;
      made.arguments = arguments();
    }
    return keep(std::move(made));
  }

  ExpressionPtr list() {
    Expression made = node(Kind::kList);
    while (!words_.take("]")) {
      made.parts.push_back(expression());
      if (!words_.is("]")) words_.need(",");
    }
    return keep(std::move(made));
  }

  ExpressionPtr dict() {
    Expression made = node(Kind::kDict);
    while (!words_.take("}")) {
      made.parts.push_back(expression());
      words_.need(":");
      made.parts.push_back(expression());
      if (!words_.is("}")) words_.need(",");
    }
    return keep(std::move(made));
  }

  // Behind "(".
  Arguments arguments() {
    Arguments found;
    while (!words_.take(")")) {
      if (words_.is(Token::Kind::kName) && words_.next_is(Token::Kind::kSign, "=")) {
        std::string key = words_.name();
        words_.need("=");
        found.named.emplace_back(std::move(key), expression());
      } else {
        found.positional.push_back(expression());
      }
      if (!words_.is(")")) words_.need(",");
    }
    return found;
  }

  ExpressionPtr with_items(ExpressionPtr value) {
    while (true) {
      if (words_.take("."))
        value = attribute(std::move(value));
      else if (words_.take("["))
        value = item(std::move(value));
      else
        return value;
    }
  }

  ExpressionPtr attribute(ExpressionPtr value) {
    std::string word = words_.name();
    Expression made = node(Kind::kItem);
    made.parts.push_back(std::move(value));
    if (words_.take("(")) {
      made.kind = Kind::kMethod;
      made.name = std::move(word);
      made.arguments = arguments();
    } else {
      made.parts.push_back(constant(word));
    }
    return keep(std::move(made));
  }

  ExpressionPtr item(ExpressionPtr value) {
    Expression made = node(Kind::kItem);
    made.parts.push_back(std::move(value));
    const auto bound = [&] {
      made.parts.push_back(words_.is(":") || words_.is("]") ? nullptr : expression());
    };
    bound();
    while (words_.take(":")) {
      made.kind = Kind::kSlice;
      bound();
    }
    words_.need("]");
    if (made.kind == Kind::kItem && made.parts[1] == nullptr) words_.wrong("expected an index");
    if (made.parts.size() > 4) words_.wrong("expected at most two colons");
    if (made.kind == Kind::kSlice) made.parts.resize(4);
    return keep(std::move(made));
  }

  ExpressionPtr filtered(ExpressionPtr value) {
    while (true) {
      const bool filter = words_.take("|");
      if (!filter && !words_.take_word("is")) return value;
      const bool negated = !filter && words_.take_word("not");
      Expression made = node(filter ? Kind::kFilter : Kind::kTest);
      made.name = words_.name();
      made.parts.push_back(std::move(value));
      if (words_.take("("))
        made.arguments = arguments();
      else if (!filter && begins_argument())
        made.arguments.positional.push_back(with_items(primary()));  // x is divisibleby 3
      value = keep(std::move(made));
      if (!negated) continue;
      Expression other = node(Kind::kNot);
      other.parts.push_back(std::move(value));
      value = keep(std::move(other));
    }
  }

  bool begins_argument() const {
    if (words_.is(Token::Kind::kString) || words_.is(Token::Kind::kNumber)) return true;
    if (words_.now().kind != Token::Kind::kName) return false;
    constexpr std::string_view kOthers[] = {"and", "or", "if", "else", "in", "not", "is"};
    return std::ranges::find(kOthers, words_.now().text) == std::end(kOthers);
  }

  Words& words_;
};

}  // namespace

ExpressionPtr parse_expression(Words& words) {
  return Parser(words).expression();
}

ExpressionPtr parse_sequence(Words& words) {
  return Parser(words).or_expression();
}

}  // namespace halftone::jinja
