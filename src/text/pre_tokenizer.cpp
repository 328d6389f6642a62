#include "text/pre_tokenizer.h"

#include "base/error.h"
#include "text/characters.h"
#include "text/part_list.h"
#include "text/pattern.h"
#include "text/split.h"
#include "text/word_scanners.h"

namespace halftone {
namespace {

void append_spans(std::string_view text, const std::vector<TextSpan>& spans, Pieces& pieces) {
  for (const TextSpan span : spans)
    pieces.views.push_back(text.substr(span.begin, span.end - span.begin));
}

class Split final : public PreTokenizer {
 public:
  Split(std::unique_ptr<const Pattern> pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void split(std::string_view text, bool, Pieces& pieces) const override {
    append_spans(text, split_at(pattern_->find_all(text), text.size(), behavior_, invert_), pieces);
  }

 private:
  std::unique_ptr<const Pattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class Digits final : public PreTokenizer {
 public:
  explicit Digits(bool individual) : individual_(individual) {}
  void split(std::string_view text, bool, Pieces& pieces) const override {
    size_t begin = 0;
    bool in_number = false;
    for (size_t at = 0; at < text.size();) {
      const Character character = character_at(text, at);
      const bool is_number = character.kind == CharClass::kNumber;
      const bool cut = is_number != in_number || (is_number && individual_);
      if (cut && begin < at) pieces.views.push_back(text.substr(begin, at - begin));
      if (cut) begin = at;
      in_number = is_number;
      at += character.bytes;
    }
    if (begin < text.size()) pieces.views.push_back(text.substr(begin));
  }

 private:
  bool individual_;
};

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space),
        words_(use_regex ? regex_pattern(kGpt2Pattern) : nullptr) {}
  bool spells_bytes() const override { return true; }
  void split(std::string_view text, bool, Pieces& pieces) const override {
    if (add_prefix_space_ && !text.starts_with(' '))
      text = pieces.rewritten.emplace_back(std::string(" ").append(text));
    if (words_ != nullptr)
      append_spans(text, words_->find_all(text), pieces);
    else
      pieces.views.push_back(text);
  }

 private:
  bool add_prefix_space_;
  std::unique_ptr<const Pattern> words_;  // null: no further cuts
};

enum class PrependScheme { kAlways, kFirst, kNever };

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(const std::string& replacement, PrependScheme scheme, bool split)
      : replacement_(replacement),
        scheme_(scheme),
        split_(split),
        space_(literal_pattern(" ")),
        marker_(literal_pattern(replacement)) {}
  void split(std::string_view text, bool at_start, Pieces& pieces) const override {
    std::string marked = replace_all(*space_, replacement_, text);
    const bool wants_prefix =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && at_start);
    if (wants_prefix && !marked.starts_with(replacement_)) marked.insert(0, replacement_);
    const std::string& kept = pieces.rewritten.emplace_back(std::move(marked));
    const auto markers = split_ ? marker_->find_all(kept) : std::vector<TextSpan>{};
    append_spans(kept, split_at(markers, kept.size(), SplitBehavior::kMergedWithNext, false),
                 pieces);
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
  std::unique_ptr<const Pattern> space_, marker_;
};

std::unique_ptr<const PreTokenizer> parse_byte_level(const Json& part) {
  return std::make_unique<ByteLevel>(bool_field(part, "add_prefix_space", true),
                                     bool_field(part, "use_regex", true));
}

std::unique_ptr<const PreTokenizer> parse_digits(const Json& part) {
  return std::make_unique<Digits>(bool_field(part, "individual_digits", false));
}

std::unique_ptr<const PreTokenizer> parse_split(const Json& part) {
  return std::make_unique<Split>(parse_pattern(require_field(part, "pattern")),
                                 parse_split_behavior(string_field(part, "behavior")),
                                 bool_field(part, "invert", false));
}

std::unique_ptr<const PreTokenizer> parse_metaspace(const Json& part) {
  // before tokenizers 0.15 a flag stood for the scheme
  const bool legacy = bool_field(part, "add_prefix_space", true);
  const std::string scheme =
      optional_string_field(part, "prepend_scheme").value_or(legacy ? "always" : "never");
  require(scheme == "always" || scheme == "first" || scheme == "never",
          "\"prepend_scheme\" \"{}\" is not supported", printable(scheme));
  return std::make_unique<Metaspace>(string_field(part, "replacement"),
                                     scheme == "always"  ? PrependScheme::kAlways
                                     : scheme == "first" ? PrependScheme::kFirst
                                                         : PrependScheme::kNever,
                                     bool_field(part, "split", true));
}

// One line a kind.
constexpr PartKind<PreTokenizer> kPreTokenizers[] = {
    {"ByteLevel", parse_byte_level},
    {"Digits", parse_digits},
    {"Metaspace", parse_metaspace},
    {"Split", parse_split},
};

}  // namespace

PreTokenizers::PreTokenizers(const Json* description)
    : steps_(parse_parts<PreTokenizer>(kPreTokenizers, "pre_tokenizer", "pretokenizers",
                                       description)) {
  for (size_t i = 0; i + 1 < steps_.size(); ++i)
    require(!steps_[i]->spells_bytes(), "pre_tokenizer: ByteLevel is supported only as the last");
}

void PreTokenizers::split(std::string_view text, bool at_start, Pieces& pieces) const {
  pieces.views.clear();
  if (!text.empty()) pieces.views.push_back(text);
  for (const auto& step : steps_) {
    std::vector<std::string_view> whole;
    whole.swap(pieces.views);
    for (size_t i = 0; i < whole.size(); ++i) step->split(whole[i], at_start && i == 0, pieces);
  }
}

}  // namespace halftone
