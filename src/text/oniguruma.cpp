#include "text/oniguruma.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace halftone {
namespace {

constexpr const char* kWord = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}])";
constexpr const char* kClassWord = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])";
constexpr const char* kNotNewline = R"([^\n])";
constexpr const char* kAny = "(?s:.)";
constexpr const char* kLineBegin = R"((?:(?<![^\n])(?!\z)))";
constexpr const char* kLineEnd = R"((?:(?![^\n])))";
constexpr const char* kLastLineEnd = R"((?:(?=\n?\z)))";
constexpr size_t kNone = std::string::npos;

struct NamedSet {
  std::string_view name;
  const char* bracket;   // [:name:]
  const char* property;  // \p{name}
};

constexpr const char* kLetterOrDigit = R"([\p{Alphabetic}\p{Nd}])";
constexpr const char* kBlank = R"([\p{Zs}\t])";
constexpr const char* kGraph = R"([^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}])";
constexpr const char* kPrint = R"([^\p{Cc}\p{Cn}\p{Cs}\p{Zl}\p{Zp}])";
constexpr const char* kHexDigit = "[0-9A-Fa-f]";

constexpr NamedSet kNamedSets[] = {
    {"alnum", kLetterOrDigit, kLetterOrDigit},
    {"alpha", R"(\p{Alphabetic})", R"(\p{Alphabetic})"},
    {"ascii", R"([\x00-\x7f])", R"([\x00-\x7f])"},
    {"blank", kBlank, kBlank},
    {"cntrl", R"(\p{Cc})", R"(\p{Cc})"},
    {"digit", R"(\p{Nd})", R"(\p{Nd})"},
    {"graph", kGraph, kGraph},
    {"lower", R"(\p{Lowercase})", R"(\p{Lowercase})"},
    {"print", kPrint, kPrint},
    {"punct", R"([\p{P}\p{S}])", R"(\p{P})"},
    {"space", R"(\p{White_Space})", R"(\p{White_Space})"},
    {"upper", R"(\p{Uppercase})", R"(\p{Uppercase})"},
    {"word", kClassWord, kWord},
    {"xdigit", kHexDigit, kHexDigit},
};

const NamedSet* find_named_set(std::string_view name) {
  const auto at = std::find_if(std::begin(kNamedSets), std::end(kNamedSets),
                               [&](const NamedSet& set) { return set.name == name; });
  return at == std::end(kNamedSets) ? nullptr : at;
}

std::string complement(std::string_view set) {
  return fmt::format("[^{}]", set);
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return lower;
}

struct Incomplete {};  // the expression ends in the middle of something

class Rewriter {
 public:
  explicit Rewriter(std::string_view expression) : in_(expression) {}

  std::string run() {
    while (at_ < in_.size()) {
      const size_t begin = at_, written = out_.size();
      try {
        step();
      } catch (const Incomplete&) {
        out_.resize(written);
        return std::move(out_.append(in_.substr(begin)));
      }
    }
    return std::move(out_);
  }

 private:
  struct Group {
    size_t begin;    // in out_
    size_t content;  // in out_, behind its options
    bool dotall, any_case;
  };

  // What comes next in the expression.
  char peek(size_t ahead = 0) const {
    if (at_ + ahead >= in_.size()) throw Incomplete();
    return in_[at_ + ahead];
  }
  bool next_is(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  std::string_view up_to(char last) const {
    const size_t end = in_.find(last, at_);
    if (end == in_.npos) throw Incomplete();
    return in_.substr(at_, end + 1 - at_);
  }
  [[noreturn]] void refuse(std::string_view part) const {
    fail("\"{}\" at byte {} of the regular expression {} is not supported", printable(part), at_,
         printable(in_));
  }

  void copy(size_t count) {
    if (count > in_.size() - at_) throw Incomplete();
    out_.append(in_.substr(at_, count));
    at_ += count;
  }
  // Something that a quantifier may repeat, in place of the next `count` bytes.
  void put(std::string_view atom, size_t count) {
    atom_ = out_.size();
    quantified_ = false;
    out_.append(atom);
    at_ += count;
  }
  void put_taken(const std::string& atom) { put(atom, 0); }

  void step() {
    switch (in_[at_]) {
      case '\\':
        return escape();
      case '[':
        return put_taken(take_class());
      case '(':
        return open_group();
      case ')':
        return close_group();
      case '|':
        atom_ = kNone;
        return copy(1);
      case '.':
        return put(groups_.back().dotall ? kAny : kNotNewline, 1);
      case '^':
        return put(kLineBegin, 1);
      case '$':
        return put(kLineEnd, 1);
      case '*':
      case '+':
      case '?':
        return quantify(1, "?+");
      case '{':
        return interval();
      case '}':
      case ']':
        return put(in_[at_] == '}' ? "\\}" : "\\]", 1);
      default: {
        const size_t bytes = std::max<size_t>(1, utf8_length_at(in_, at_));
        return put(in_.substr(at_, bytes), bytes);
      }
    }
  }

  // `modes`: what may follow it to make it reluctant or possessive.
  void quantify(size_t bytes, std::string_view modes) {
    if (atom_ != kNone && quantified_) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    quantified_ = true;
    copy(bytes);
    if (at_ < in_.size() && modes.find(in_[at_]) != modes.npos) copy(1);
  }

  // {2} {2,} {2,3} {,3}, or a literal brace.
  void interval() {
    size_t end = at_ + 1, digits = 0, commas = 0;
    for (; end < in_.size() && (is_digit(in_[end]) || (in_[end] == ',' && commas == 0)); ++end)
      ++(in_[end] == ',' ? commas : digits);
    if (digits == 0 || end >= in_.size() || in_[end] != '}') return put("\\{", 1);
    const size_t bytes = end + 1 - at_;
    if (in_[at_ + 1] != ',') return quantify(bytes, commas > 0 ? "?" : "");
    quantify(1, "");
    out_ += '0';
    copy(bytes - 1);
    if (at_ < in_.size() && in_[at_] == '?') copy(1);
  }

  void open_group() {
    if (next_is("(?#")) {
      at_ += up_to(')').size();
      return;
    }
    const bool has_options = next_is("(?") && (is_letter(peek(2)) || peek(2) == '-');
    if (has_options) return open_options();
    if (next_is("(?~") || next_is("(?(") || next_is("(?'") || next_is("(*"))
      refuse(in_.substr(at_, 3));
    const size_t begin = out_.size();
    const bool named = next_is("(?<") && peek(3) != '=' && peek(3) != '!';
    copy(named ? up_to('>').size() : next_is("(?<") ? 4 : next_is("(?") ? 3 : 1);
    groups_.push_back({begin, out_.size(), groups_.back().dotall, groups_.back().any_case});
    atom_ = kNone;
  }

  // (?i:...) and (?i); m is what ICU calls s.
  void open_options() {
    const size_t end = in_.find_first_of(":)", at_);
    if (end == in_.npos) throw Incomplete();
    const std::string_view letters = in_.substr(at_ + 2, end - at_ - 2);
    const bool isolated = in_[end] == ')';
    if (isolated && groups_.back().content != out_.size())
      refuse(in_.substr(at_, end + 1 - at_));  // reaches over the | behind it
    bool on = true, dotall = groups_.back().dotall, any_case = groups_.back().any_case;
    std::string kept = "(?";
    for (const char c : letters) {
      if (c != 'i' && c != 'm' && c != '-') refuse(in_.substr(at_, end + 1 - at_));
      if (c == '-') on = false;
      if (c == 'm') dotall = on;
      if (c == 'i') any_case = on;
      if (c == 'i') kept += on ? "i" : "-i";
    }
    const size_t begin = out_.size();
    at_ = end + 1;
    if (!isolated || kept.size() > 2) out_ += kept + in_[end];
    if (isolated) {
      groups_.back().content = out_.size();
      groups_.back().dotall = dotall;
      groups_.back().any_case = any_case;
    } else {
      groups_.push_back({begin, out_.size(), dotall, any_case});
    }
    atom_ = kNone;
  }

  void close_group() {
    if (groups_.size() > 1) {
      atom_ = groups_.back().begin;
      quantified_ = false;
      groups_.pop_back();
    }
    copy(1);
  }

  void escape() {
    const char c = peek(1);
    switch (c) {
      case 'A':
      case 'z':
      case 'R':
        return put(in_.substr(at_, 2), 2);
      case 'Z':
        return put(kLastLineEnd, 2);
      case 'N':
        return put(kNotNewline, 2);
      case 'O':
        return put(kAny, 2);
      case 'b':
        return put(fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", kWord), 2);
      case 'B':
        return put(fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", kWord), 2);
      default:
        break;
    }
    const bool references =
        c >= '1' && c <= '9' && (at_ + 2 >= in_.size() || !is_digit(in_[at_ + 2]));
    if (references) return put(in_.substr(at_, 2), 2);
    if (next_is("\\k<")) {
      const std::string_view reference = up_to('>');
      return put(reference, reference.size());
    }
    // without a class around it a set does not take the other case
    const bool any_case = groups_.back().any_case;
    if (const auto set = take_set(kWord))
      return put_taken(any_case ? fmt::format("(?-i:{})", *set) : *set);
    put_taken(literal(take_code_point(false)));
  }

  // \w \d \s \h \p{...} and their complements, as a set of ICU; nothing where none comes next.
  // `word`: \w, which holds fewer characters in a class.
  std::optional<std::string> take_set(const char* word) {
    if (peek() != '\\') return std::nullopt;
    const char c = peek(1);
    if (c == 'p' || c == 'P') return take_property(word);
    const bool alike = c == 'd' || c == 'D' || c == 's' || c == 'S';
    const char* set = c == 'w' || c == 'W' ? word : c == 'h' || c == 'H' ? kHexDigit : nullptr;
    if (!alike && set == nullptr) return std::nullopt;
    const std::string_view same = in_.substr(at_, 2);
    at_ += 2;
    if (alike) return std::string(same);
    return c >= 'a' ? std::string(set) : complement(set);
  }

  std::string take_property(const char* word) {
    bool negated = peek(1) == 'P';
    if (peek(2) != '{') refuse(in_.substr(at_, 3));
    const std::string_view whole = up_to('}');
    std::string_view name = whole.substr(3, whole.size() - 4);
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    at_ += whole.size();
    const NamedSet* known = find_named_set(lower_case(name));
    const char* set = known == nullptr ? nullptr : known->name == "word" ? word : known->property;
    if (set != nullptr) return negated ? complement(set) : set;
    return fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', name);
  }

  // A literal character or an escape that stands for one.
  char32_t take_code_point(bool in_class) {
    if (peek() != '\\') {
      const size_t bytes = std::max<size_t>(1, utf8_length_at(in_, at_));
      const char32_t c = decode_utf8_at(in_, at_);
      at_ += bytes;
      return c;
    }
    const char c = peek(1);
    constexpr std::string_view kLetters = "tnrfvae", kMeanings = "\t\n\r\f\v\a\x1b";
    if (const size_t at = kLetters.find(c); at != kLetters.npos) {
      at_ += 2;
      return static_cast<unsigned char>(kMeanings[at]);
    }
    if (c == 'x' || c == 'u') return take_hexadecimal();
    if (c == 'b' && in_class) {
      at_ += 2;
      return '\b';
    }
    if (is_letter(c) || is_digit(c)) refuse(in_.substr(at_, 2));
    ++at_;
    const char32_t escaped = decode_utf8_at(in_, at_);
    at_ += std::max<size_t>(1, utf8_length_at(in_, at_));
    return escaped;
  }

  // \x41 (a byte: ASCII only), \x{4e00}, \u4e00.
  char32_t take_hexadecimal() {
    const bool braces = next_is("\\x{");
    const size_t begin = at_ + (braces ? 3 : 2);
    const size_t end = braces ? at_ + up_to('}').size() - 1 : begin + (peek(1) == 'x' ? 2 : 4);
    if (end > in_.size()) refuse(in_.substr(at_));
    uint32_t value = 0;
    const char* last = in_.data() + end;
    const auto [stop, error] = std::from_chars(in_.data() + begin, last, value, 16);
    const uint32_t limit = braces || in_[at_ + 1] == 'u' ? 0x10ffff : 0x7f;
    const bool surrogate = value >= 0xd800 && value < 0xe000;
    if (error != std::errc() || stop != last || value > limit || surrogate)
      refuse(in_.substr(at_, end - at_));
    at_ = end + (braces ? 1 : 0);
    return value;
  }

  static std::string literal(char32_t c) {
    if (c <= ' ' || c == 0x7f) return fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(c));
    std::string text;
    append_utf8(text, c);
    const bool plain = c > 0x7f || is_letter(text[0]) || is_digit(text[0]);
    return plain ? text : "\\" + text;
  }

  // [...] from its bracket on.
  std::string take_class(int depth = 0) {
    if (depth > 32) refuse("[");
    std::string set = "[";
    ++at_;
    if (peek() == '^') {
      set += '^';
      ++at_;
    }
    for (bool first = true; first || peek() != ']'; first = false) {
      if (next_is("&&")) {
        set += "&&";
        at_ += 2;
      } else if (peek() == '[') {
        set += next_is("[:") ? take_bracket() : take_class(depth + 1);
        refuse_range();
      } else if (const auto named = take_set(kClassWord)) {
        set += *named;
        refuse_range();
      } else {
        set += take_range();
      }
    }
    ++at_;
    return set + ']';
  }

  std::string take_bracket() {
    const std::string_view whole = up_to(']');
    if (whole.size() < 5 || !whole.ends_with(":]")) refuse(whole);
    std::string_view name = whole.substr(2, whole.size() - 4);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const NamedSet* known = find_named_set(name);
    if (known == nullptr) refuse(whole);
    at_ += whole.size();
    return negated ? complement(known->bracket) : known->bracket;
  }

  // A dash behind a set is a literal one at the end of a class; elsewhere the library has its own
  // ideas.
  void refuse_range() const {
    if (peek() == '-' && peek(1) != ']') refuse(in_.substr(at_, 2));
  }

  // One character, or a range of them.
  std::string take_range() {
    if (next_is("-[")) refuse("-[");
    const char32_t low = take_code_point(true);
    if (peek() != '-' || peek(1) == ']') return literal(low);
    if (peek(1) == '[') refuse("-[");
    const size_t dash = at_++;
    const bool is_set = take_set(kClassWord).has_value();
    const char32_t high = is_set ? 0 : take_code_point(true);
    if (is_set || high < low) {
      const size_t end = at_;
      at_ = dash;
      refuse(in_.substr(dash, end - dash));
    }
    return literal(low) + '-' + literal(high);
  }

  std::string_view in_;
  size_t at_ = 0;  // in in_
  std::string out_;
  std::vector<Group> groups_ = {{0, 0, false, false}};
  size_t atom_ = kNone;      // in out_: what a quantifier would repeat
  bool quantified_ = false;  // it has a quantifier already
};

}  // namespace

std::string icu_expression(std::string_view oniguruma) {
  return Rewriter(oniguruma).run();
}

}  // namespace halftone
