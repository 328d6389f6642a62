#include "text/gguf_export.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "text/added_tokens.h"
#include "text/chat_template.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/gpt2_files.h"
#include "text/pre_tokenizer.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_settings.h"
#include "text/vocabulary.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using Type = GgufTokenType;

constexpr std::string_view kSpace = "\u2581";
constexpr float kAddedScore = -1000, kPaddingScore = -10000;

// Something of all that pre-tokenizers and vocabularies treat differently, in composed characters.
constexpr const char* kProbe =
    "Hello world! It's 2024, I'LL say: don't; you'Ve (12,345.678) won $1234567 & 99%.\n"
    "  two  spaces\tand\ttabs \n\n new  lines \r\n\r\nend   x\u00b2 + y\u00b3 = \u00bd \u2460\n"
    "def f(x):\n    return x**2 + self._y[\"key\"] != None  # comment\n\n\nclass A_B2: pass\n"
    "HTTPServer camelCase \u4f60\u597d\uff0c\u4e16\u754c\uff012024\u5e745\u6708\u3002\u3053\u3093"
    "\u306b\u3061\u306f \uc548\ub155 \u041f\u0440\u0438\u0432\u0435\u0442, \u00c4\u00d6\u00dc "
    "na\u00ef"
    "ve \u0645\u0631\u062d\u0628\u0627\u060c \u0661\u0662\u0663 "
    "\u0928\u092e\u0938\u094d\u0924\u0947"
    "\u0964 \u201cq\u201d \u2026!!! \U0001f600\u200d\U0001f680 \u00a0nbsp\u2003em path/to/f?q=1&r "
    "#z";

// What control tokens of real models look like, whatever their files call them.
bool looks_special(std::string_view text) {
  const auto between = [&](std::string_view begin, std::string_view end) {
    return text.size() >= begin.size() + end.size() && text.starts_with(begin) &&
           text.ends_with(end);
  };
  return between("<|", "|>") || between("<\uff5c", "\uff5c>") || between("<unused", ">") ||
         text == "<pad>" || text == "<mask>" || text == "[@BOS@]";
}

Json read_object(const fs::path& path) {
  return fs::exists(path) ? with_path(path, [&] { return parse_json(read_file(path)); })
                          : Json::object();
}

class Exporter {
 public:
  Exporter(const fs::path& folder, int64_t rows)
      : folder_(folder), rows_(rows), settings_(read_tokenizer_settings(folder)) {}

  GgufExport run() {
    opened_ = open_tokenizer(folder_);
    require(opened_->vocabulary_size() <= rows_,
            "the tokenizer has {} tokens, but the model's embedding {} rows",
            opened_->vocabulary_size(), rows_);
    if (fs::exists(folder_ / "tokenizer.model"))
      describe_scores(read_sentencepiece_model(folder_ / "tokenizer.model"));
    else if (fs::exists(folder_ / "tokenizer.json"))
      describe(read_object(folder_ / "tokenizer.json"));
    else
      describe(read_gpt2_files(folder_, settings_));
    set_roles();
    set_surroundings();
    out_.chat_template = chat_template_of(folder_);
    return {out_, difference()};
  }

 private:
  void describe(const Json& file) {
    const Json& model = require_field(file, "model");
    require(optional_string_field(model, "type").value_or("BPE") == "BPE",
            "tokenizer.json: {} tokens have no name in GGUF: expected BPE",
            printable(string_field(model, "type")));
    const Vocabulary vocabulary(require_field(model, "vocab"));
    const Json added = join_added_tokens(find_field(file, "added_tokens"), settings_, vocabulary);
    const PreTokenizers pre_tokenizers(find_field(file, "pre_tokenizer"));
    out_.model = pre_tokenizers.spell_bytes() ? "gpt2" : "llama";
    fill(vocabulary, added);
    if (!pre_tokenizers.spell_bytes()) return set_scores(model);
    const Json* normalizer = find_field(file, "normalizer");
    out_.pre =
        name_of_pre_tokenizer(pre_tokenizers, kProbe,
                              {bool_field(model, "ignore_merges", false),
                               normalizer != nullptr && normalizer->value("type", "") == "NFC"});
    for (const Json& merge : array_field(model, "merges")) out_.merges.push_back(spelled(merge));
  }

  static std::string spelled(const Json& merge) {
    return merge.is_string()
               ? merge.get<std::string>()
               : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>();
  }

  void fill(const Vocabulary& vocabulary, const Json& added) {
    for (int64_t id = 0; id < rows_; ++id) {
      const std::string padding = fmt::format("[PAD{}]", id);
      const std::string* known = vocabulary.text(id);
      const std::string& text = known != nullptr ? *known : padding;
      const bool is_byte = out_.model == "llama" && is_byte_piece(text);
      out_.tokens.push_back(text);
      // a folder that was a GGUF file once may hold padding as tokens
      set_type(id, text == padding ? Type::kUnused : is_byte ? Type::kByte : Type::kNormal);
    }
    set_added(added);
  }

  void set_added(const Json& added) {
    for (const Json& token : added) {
      const int64_t id = integer_field(token, "id");
      const std::string content = string_field(token, "content");
      out_.tokens.at(static_cast<size_t>(id)) = content;
      const bool special = bool_field(token, "special", false) || looks_special(content);
      set_type(id, special ? Type::kControl : Type::kUserDefined);
    }
  }

  void set_type(int64_t id, Type type) {
    out_.types.resize(out_.tokens.size());
    out_.types[static_cast<size_t>(id)] = static_cast<int32_t>(type);
  }

  // The earlier a token is merged the higher its score.
  void set_scores(const Json& model) {
    out_.pre = "default";
    const Vocabulary ids{std::span<const std::string>(out_.tokens)};
    const Json& merges = array_field(model, "merges");
    out_.scores.assign(out_.tokens.size(), -1 - static_cast<float>(merges.size()));
    for (size_t rank = merges.size(); rank-- > 0;) {
      std::string merged = spelled(merges[rank]);
      merged.erase(merged.find(' '), 1);
      if (const auto id = ids.find(merged))
        out_.scores[static_cast<size_t>(*id)] = -1 - static_cast<float>(rank);
    }
    const auto unknown = optional_string_field(model, "unk_token");
    if (unknown) out_.unknown = ids.find(*unknown);
    if (out_.unknown) set_type(*out_.unknown, Type::kUnknown);
  }

  void describe_scores(const SentencePieceModel& model) {
    out_.model = "llama";
    out_.pre = "default";
    Vocabulary vocabulary;
    for (size_t id = 0; id < static_cast<size_t>(rows_); ++id) {
      const bool is_piece = id < model.pieces.size();
      out_.tokens.push_back(is_piece ? model.pieces[id].text : fmt::format("[PAD{}]", id));
      out_.scores.push_back(is_piece ? model.pieces[id].score : kPaddingScore);
      out_.types.push_back(is_piece ? model.pieces[id].type : static_cast<int32_t>(Type::kUnused));
      if (is_piece) vocabulary.add(model.pieces[id].text, static_cast<int64_t>(id));
    }
    out_.unknown = model.unknown;
    if (model.bos >= 0) out_.bos = model.bos;
    if (model.eos >= 0) out_.eos = model.eos;
    const Json added = join_added_tokens(nullptr, settings_, vocabulary);
    set_added(added);
    set_type(model.unknown, Type::kUnknown);
    for (const Json& token : added)
      if (const auto id = integer_field(token, "id");
          id >= static_cast<int64_t>(model.pieces.size()))
        out_.scores[static_cast<size_t>(id)] = kAddedScore;
  }

  // By the names that the tokenizer's files give them, else by config.json's ids.
  void set_roles() {
    const Json config = read_object(folder_ / "config.json");
    const auto set = [&](const std::optional<std::string>& named, const char* key,
                         std::optional<int64_t>& id) {
      const auto at = std::find(out_.tokens.begin(), out_.tokens.end(), named.value_or(""));
      const Json* number = find_field(config, key);
      if (named && at != out_.tokens.end())
        id = at - out_.tokens.begin();
      else if (!id && number != nullptr && number->is_number_unsigned() &&
               number->get<uint64_t>() < out_.tokens.size())
        id = number->get<int64_t>();
    };
    set(settings_.bos, "bos_token_id", out_.bos);
    set(settings_.eos, "eos_token_id", out_.eos);
    set(settings_.unknown, "unk_token_id", out_.unknown);
    set(settings_.padding, "pad_token_id", out_.padding);
  }

  // What the tokenizer puts around a text, and in front of it.
  void set_surroundings() {
    const auto bare = opened_->encode("a", false), full = opened_->encode("a", true);
    const auto at = std::search(full.begin(), full.end(), bare.begin(), bare.end());
    out_.add_bos = at != full.begin();
    out_.add_eos = full.end() - at > static_cast<ptrdiff_t>(bare.size());
    if (*out_.add_bos) out_.bos = full.front();
    if (*out_.add_eos) out_.eos = full.back();
    if (out_.model == "llama")
      out_.add_space_prefix = !bare.empty() && opened_->piece(bare.front()).starts_with(kSpace);
  }

  std::string difference() const {
    const auto wanted = opened_->encode(kProbe, true);
    const auto found = open_gguf_vocabulary(out_)->encode(kProbe, true);
    if (wanted == found) return "";
    const auto at = std::mismatch(wanted.begin(), wanted.end(), found.begin(), found.end()).first;
    return fmt::format(
        "GGUF cannot say all that this tokenizer does: of a test text of {} tokens the {}. is "
        "another",
        wanted.size(), at - wanted.begin() + 1);
  }

  fs::path folder_;
  int64_t rows_;
  TokenizerSettings settings_;
  std::unique_ptr<const Tokenizer> opened_;
  GgufVocabulary out_;
};

}  // namespace

GgufExport gguf_export_of(const fs::path& folder, int64_t rows) {
  return with_path(folder, [&] { return Exporter(folder, rows).run(); });
}

}  // namespace halftone
