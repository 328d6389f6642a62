#include "task/filters.h"

#include <fmt/ranges.h>
#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <vector>

#include "base/closest.h"
#include "base/error.h"
#include "base/utf8.h"
#include "text/white_space.h"

namespace halftone {
namespace {

std::string capitalized(std::string_view text) {
  if (text.empty()) return "";
  const std::string_view first = text.substr(0, utf8_length_at(text, 0));
  const icu::Locale& root = icu::Locale::getRoot();
  const auto unicode = [](std::string_view part) {
    return icu::UnicodeString::fromUTF8({part.data(), static_cast<int32_t>(part.size())});
  };
  // small letters of the whole, since a sigma's form depends on its place in the word
  const icu::UnicodeString small = unicode(text).toLower(root);
  icu::UnicodeString result = unicode(first).toTitle(nullptr, root);
  result += small.tempSubString(unicode(first).toLower(root).length());
  std::string utf8;
  result.toUTF8String(utf8);
  return utf8;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (size_t at; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size()))
    result.append(text.substr(0, at)).append(to);
  return result.append(text);
}

// Deletes what the regular expression \[.*?\] matches: from a bracket to the next closing one of
// the same line.
std::string without_brackets(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t end = text.front() == '[' ? text.find_first_of("]\n") : text.npos;
    const bool matches = end != text.npos && text[end] == ']';
    if (!matches) result += text.front();
    text.remove_prefix(matches ? end + 1 : 1);
  }
  return result;
}

// Its utils.preprocess.
std::string hellaswag(std::string_view text) {
  return replaced(without_brackets(replaced(stripped(text), " [title]", ". ")), "  ", " ");
}

// Where `mark` stands in the text.
size_t find_mark(std::string_view text, const std::string& mark) {
  const size_t at = text.find(mark);
  require(at != text.npos, "expected \"{}\" in \"{}\"", mark, printable(text));
  return at;
}

Filter before(const std::string& mark) {
  return
      [mark](std::string_view text) { return std::string(text.substr(0, find_mark(text, mark))); };
}

Filter after(const std::string& mark) {
  return [mark](std::string_view text) {
    return std::string(text.substr(find_mark(text, mark) + mark.size()));
  };
}

// Of what is no white space; of a text without it its end.
size_t begin_of(std::string_view text) {
  const std::string_view inside = stripped(text);
  return inside.empty() ? text.size() : static_cast<size_t>(inside.data() - text.data());
}

// Where its last word begins, behind a space; words are what spaces part.
size_t last_word_at(std::string_view text) {
  const size_t space = text.rfind(' ');
  require(space != text.npos, "expected two words or more, found \"{}\"", printable(text));
  return space + 1;
}

std::string last_word(std::string_view text) {
  return std::string(text.substr(last_word_at(text)));
}

std::string without_last_word(std::string_view text) {
  return std::string(text.substr(0, last_word_at(text) - 1));
}

struct NamedFilter {
  std::string name;
  Filter plain;                                      // or
  std::function<Filter(const std::string&)> marked;  // of one with a text behind its name
};

const std::vector<NamedFilter>& known_filters() {
  static const std::vector<NamedFilter> list = {
      {"strip", [](std::string_view text) { return std::string(stripped(text)); }, {}},
      {"lstrip",
       [](std::string_view text) { return std::string(text.substr(begin_of(text))); },
       {}},
      {"capitalize", capitalized, {}},
      {"before", {}, before},
      {"after", {}, after},
      {"last_word", last_word, {}},
      {"without_last_word", without_last_word, {}},
      {"hellaswag", hellaswag, {}},
  };
  return list;
}

}  // namespace

Filter make_filter(std::string_view call) {
  const std::string_view whole = stripped(call);
  const size_t space = whole.find(' ');
  const std::string name(whole.substr(0, space));
  const std::string mark(space == whole.npos ? "" : stripped(whole.substr(space)));
  std::vector<std::string> names;
  for (const NamedFilter& known : known_filters()) {
    names.push_back(known.name);
    if (known.name != name) continue;
    require(mark.empty() == !known.marked, "filter {}: expected {}, found {}", name,
            known.marked ? "a text to look for, such as \"before _\"" : "nothing behind the name",
            mark.empty() ? "none" : printable(mark));
    return known.marked ? known.marked(mark) : known.plain;
  }
  fail("unknown filter \"{}\"{}; known filters: {}", printable(name), did_you_mean(name, names),
       fmt::join(names, ", "));
}

}  // namespace halftone
