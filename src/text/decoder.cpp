#include "text/decoder.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/part_list.h"
#include "text/pattern.h"

namespace halftone {
namespace {

constexpr const char* kReplacementCharacter = "\ufffd";

std::string joined(const std::vector<std::string>& tokens, const char* separator = "") {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) text.append(i == 0 ? "" : separator).append(tokens[i]);
  return text;
}

// Bytes of the longest beginning of a character at `at`, where no whole one is; at least 1.
size_t truncated_length_at(const std::string& bytes, size_t at) {
  const auto goes_on = [&](size_t length) {
    const std::string begun = bytes.substr(at, length) + '\x80';
    return utf8_length_at(begun, 0) == length + 1 ||
           utf8_length_at(begun + '\x80', 0) == length + 2;
  };
  size_t length = 1;
  while (length < 3 && at + length < bytes.size() && goes_on(length + 1)) ++length;
  return length;
}

class ByteLevelDecoder final : public Decoder {
 public:
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += bytes_of_spelling(token).value_or(token);
    return {to_valid_utf8(bytes)};
  }
};

// The byte of "<0x41>", -1 for other tokens.
int byte_of_token(const std::string& token) {
  const bool has_form = token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
  constexpr const char* kHex = "0123456789abcdefABCDEF";
  if (!has_form || token.find_first_not_of(kHex, 3) != 5) return -1;
  return std::stoi(token.substr(3, 2), nullptr, 16);
}

class ByteFallbackDecoder final : public Decoder {
 public:
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    std::vector<std::string> out;
    std::string bytes;
    for (std::string& token : tokens) {
      const int byte = byte_of_token(token);
      if (byte >= 0) {
        bytes += static_cast<char>(byte);
      } else {
        flush(bytes, out);
        out.push_back(std::move(token));
      }
    }
    flush(bytes, out);
    return out;
  }

 private:
  // A run that is not UTF-8 as a whole becomes one U+FFFD a byte.
  static void flush(std::string& bytes, std::vector<std::string>& out) {
    if (first_invalid_utf8(bytes) == bytes.size())
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), kReplacementCharacter);
    bytes.clear();
  }
};

class FuseDecoder final : public Decoder {
 public:
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    return {joined(tokens)};
  }
};

class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string content, int64_t start, int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {
    require(utf8_length_at(content_, 0) == content_.size(), "\"content\" is not one character");
  }
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    for (std::string& token : tokens) strip(token);
    return tokens;
  }

 private:
  void strip(std::string& token) const {
    for (int64_t i = 0; i < start_ && token.starts_with(content_); ++i)
      token.erase(0, content_.size());
    for (int64_t i = 0; i < stop_ && token.ends_with(content_); ++i)
      token.resize(token.size() - content_.size());
  }

  std::string content_;
  int64_t start_, stop_;
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(std::unique_ptr<const Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    for (std::string& token : tokens) token = replace_all(*pattern_, content_, token);
    return tokens;
  }

 private:
  std::unique_ptr<const Pattern> pattern_;
  std::string content_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, bool drops_first)
      : marker_(literal_pattern(std::move(replacement))), drops_first_(drops_first) {}
  std::vector<std::string> apply(std::vector<std::string> tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replace_all(*marker_, i == 0 && drops_first_ ? "" : " ", tokens[i]);
    return tokens;
  }

 private:
  std::unique_ptr<const Pattern> marker_;
  bool drops_first_;
};

using Made = std::unique_ptr<const Decoder>;

Made parse_strip(const Json& part) {
  return std::make_unique<StripDecoder>(string_field(part, "content"), integer_field(part, "start"),
                                        integer_field(part, "stop"));
}

Made parse_replace(const Json& part) {
  return std::make_unique<ReplaceDecoder>(parse_pattern(require_field(part, "pattern")),
                                          string_field(part, "content"));
}

Made parse_metaspace(const Json& part) {
  const auto scheme = optional_string_field(part, "prepend_scheme");
  const bool adds_prefix = scheme ? *scheme != "never" : bool_field(part, "add_prefix_space", true);
  return std::make_unique<MetaspaceDecoder>(string_field(part, "replacement"), adds_prefix);
}

// One line a kind.
constexpr PartKind<Decoder> kDecoders[] = {
    {"ByteFallback", [](const Json&) -> Made { return std::make_unique<ByteFallbackDecoder>(); }},
    {"ByteLevel", [](const Json&) -> Made { return std::make_unique<ByteLevelDecoder>(); }},
    {"Fuse", [](const Json&) -> Made { return std::make_unique<FuseDecoder>(); }},
    {"Metaspace", parse_metaspace},
    {"Replace", parse_replace},
    {"Strip", parse_strip},
};

}  // namespace

std::string to_valid_utf8(const std::string& bytes) {
  if (first_invalid_utf8(bytes) == bytes.size()) return bytes;
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = utf8_length_at(bytes, at);
    if (length > 0) {
      text.append(bytes, at, length);
      at += length;
    } else {
      text += kReplacementCharacter;
      at += truncated_length_at(bytes, at);
    }
  }
  return text;
}

Decoders::Decoders(const Json* description)
    : steps_(parse_parts<Decoder>(kDecoders, "decoder", "decoders", description)) {}

std::string Decoders::decode(std::vector<std::string> tokens) const {
  if (steps_.empty()) return joined(tokens, " ");
  for (const auto& step : steps_) tokens = step->apply(std::move(tokens));
  return joined(tokens);
}

}  // namespace halftone
