#include "text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>

#include <algorithm>

#include "base/error.h"
#include "text/part_list.h"
#include "text/pattern.h"

namespace halftone {
namespace {

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string text) const override {
    return text.empty() ? text : prefix_ + text;
  }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(std::unique_ptr<const Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string text) const override {
    return replace_all(*pattern_, content_, text);
  }

 private:
  std::unique_ptr<const Pattern> pattern_;
  std::string content_;
};

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(const icu::Normalizer2* form) : form_(form) {}
  std::string apply(std::string text) const override {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 128; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) return text;
    UErrorCode status = U_ZERO_ERROR;
    std::string normalized;
    icu::StringByteSink<std::string> sink(&normalized);
    require(text.size() <= INT32_MAX, "a text of {} bytes is too long to normalize", text.size());
    form_->normalizeUTF8(0, text, sink, nullptr, status);
    require(U_SUCCESS(status), "ICU cannot normalize the text: {}", u_errorName(status));
    return normalized;
  }

 private:
  const icu::Normalizer2* form_;  // owned by ICU
};

using Instance = const icu::Normalizer2* (*)(UErrorCode&);

std::unique_ptr<const Normalizer> unicode_form(Instance instance) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = instance(status);
  require(U_SUCCESS(status), "ICU has no normalization data: {}", u_errorName(status));
  return std::make_unique<UnicodeForm>(form);
}

std::unique_ptr<const Normalizer> parse_prepend(const Json& part) {
  return std::make_unique<Prepend>(string_field(part, "prepend"));
}

std::unique_ptr<const Normalizer> parse_replace(const Json& part) {
  return std::make_unique<Replace>(parse_pattern(require_field(part, "pattern")),
                                   string_field(part, "content"));
}

// One line a kind.
constexpr PartKind<Normalizer> kNormalizers[] = {
    {"NFC", [](const Json&) { return unicode_form(icu::Normalizer2::getNFCInstance); }},
    {"NFD", [](const Json&) { return unicode_form(icu::Normalizer2::getNFDInstance); }},
    {"NFKC", [](const Json&) { return unicode_form(icu::Normalizer2::getNFKCInstance); }},
    {"NFKD", [](const Json&) { return unicode_form(icu::Normalizer2::getNFKDInstance); }},
    {"Prepend", parse_prepend},
    {"Replace", parse_replace},
};

}  // namespace

Normalizers::Normalizers(const Json* description)
    : steps_(parse_parts<Normalizer>(kNormalizers, "normalizer", "normalizers", description)) {}

std::string Normalizers::apply(std::string text) const {
  for (const auto& step : steps_) text = step->apply(std::move(text));
  return text;
}

}  // namespace halftone
