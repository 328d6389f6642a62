#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/pattern.h"
#include "text/sentencepiece_cuts.h"
#include "text/sentencepiece_model.h"
#include "text/vocabulary.h"

namespace halftone {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

constexpr size_t kLongestRemembered = 48;    // bytes of a part
constexpr size_t kMostRemembered = 1 << 16;  // parts
constexpr std::string_view kSpace = "\u2581";

// Behind a model: its normalizer_spec (field 3) once more, with add_dummy_prefix (field 3) false.
constexpr std::string_view kNoPrefix("\x1a\x02\x18\x00", 4);

void require_ok(const sentencepiece::util::Status& status, const char* place) {
  require(status.ok(), "{}: {}", place, printable(status.ToString()));
}

Vocabulary vocabulary_of(const Processor& processor) {
  Vocabulary vocabulary;
  for (int id = 0; id < processor.GetPieceSize(); ++id) vocabulary.add(processor.IdToPiece(id), id);
  return vocabulary;
}

// Pieces that are found in a text before it is cut into pieces.
Json tokens_of(const Processor& processor, std::string_view model) {
  const std::set<std::string> user_defined = user_defined_pieces(model);
  Json tokens = Json::array();
  for (int id = 0; id < processor.GetPieceSize(); ++id) {
    const bool is_special = processor.IsControl(id) || processor.IsUnknown(id);
    if (is_special || user_defined.contains(processor.IdToPiece(id)))
      tokens.push_back({{"id", id},
                        {"content", processor.IdToPiece(id)},
                        {"special", is_special},
                        {"normalized", false}});
  }
  return tokens;
}

// What transformers' Llama classes do to a text before they look for normalized tokens.
Normalizers normalizers_of(bool legacy, bool prefix) {
  Json steps = Json::array();
  if (legacy && prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  if (legacy)
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}});
  const Json description = {{"type", "Sequence"}, {"normalizers", steps}};
  return Normalizers(&description);
}

// Tokens with a role or of other files are split off first, as transformers' Llama classes do it;
// the library gets what lies between.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& model, const TokenizerSettings& settings)
      : cuts_(model),
        legacy_(settings.legacy),
        prefix_(settings.add_prefix_space.value_or(true)),
        normalizers_(normalizers_of(legacy_, prefix_)) {
    load_sentencepiece(model, processor_);
    load_sentencepiece(std::string(model).append(kNoPrefix), bare_processor_);
    const Vocabulary vocabulary = vocabulary_of(processor_);
    const Json own = tokens_of(processor_, model);
    added_.emplace(join_added_tokens(&own, settings, vocabulary), vocabulary, normalizers_);
    if (settings.add_bos.value_or(true))
      before_ = role("bos_token", settings.bos, processor_.bos_id());
    if (settings.add_eos.value_or(false))
      after_ = role("eos_token", settings.eos, processor_.eos_id());
  }

  std::vector<TokenId> encode(std::string_view text, bool special) const override {
    const size_t invalid = first_invalid_utf8(text);
    require(invalid == text.size(), "the text is not UTF-8 at byte {}", invalid);
    std::vector<TokenId> ids;
    if (special) ids = before_;
    Known known;
    for (const TextSegment& segment : added_->in_raw_text().split(text)) {
      if (segment.token != nullptr)
        ids.push_back(segment.token->id);
      else
        append_segment(segment.text, segment.text.data() == text.data(), known, ids);
    }
    if (special) ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::string text;
    std::vector<int> run;  // what the library decodes
    for (const TokenId id : ids) {
      require_known(id);
      const AddedToken* added = added_->find(int64_t{id});
      if (skip_special && added != nullptr && added->special) continue;
      if (added == nullptr || (id < processor_.GetPieceSize() && processor_.IsUnknown(id))) {
        run.push_back(id);
        continue;
      }
      append_decoded(run, text);
      text += added->content;
    }
    append_decoded(run, text);
    return text;
  }

  std::string piece(TokenId id) const override {
    require_known(id);
    const AddedToken* added = added_->find(int64_t{id});
    return added != nullptr ? added->content : processor_.IdToPiece(id);
  }

  int64_t vocabulary_size() const override {
    return std::max<int64_t>(processor_.GetPieceSize(), added_->size());
  }

  std::string description() const override {
    return fmt::format("sentencepiece, {} tokens", vocabulary_size());
  }

 private:
  using Known = TextMap<std::vector<int>>;  // of one call

  // `own`: the model's token of the role, -1 if it has none.
  std::vector<TokenId> role(const char* name, const std::optional<std::string>& named,
                            int own) const {
    if (named) return {added_->require_role(name, named, "")};
    return own >= 0 ? std::vector<TokenId>{own} : std::vector<TokenId>{};
  }

  // A text without raw tokens, which may hold normalized ones.
  void append_segment(std::string_view text, bool at_start, Known& known,
                      std::vector<TokenId>& ids) const {
    const bool has_space = text.starts_with(' ') || text.starts_with(kSpace);
    const bool prefix = prefix_ && (legacy_ || (at_start && !has_space));
    if (added_->in_normalized_text().empty()) return append_text(text, prefix, known, ids);
    const std::string normalized = normalizers_.apply(std::string(text));
    for (const TextSegment& segment : added_->in_normalized_text().split(normalized)) {
      const bool first = segment.text.data() == normalized.data();
      if (segment.token != nullptr)
        ids.push_back(segment.token->id);
      else
        append_normalized(segment.text, prefix && first, known, ids);
    }
  }

  // `prefix`: the library is to put a space in front, unless the normalizer has done so.
  void append_normalized(std::string_view text, bool prefix, Known& known,
                         std::vector<TokenId>& ids) const {
    const bool has_prefix = prefix && legacy_ && text.size() > kSpace.size();
    if (has_prefix) text.remove_prefix(kSpace.size());
    const std::string plain = legacy_ ? replace_all(*marker_, " ", text) : std::string(text);
    append_text(plain, legacy_ ? has_prefix : prefix, known, ids);
  }

  void append_text(std::string_view text, bool prefix, Known& known,
                   std::vector<TokenId>& ids) const {
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = cuts_.part_end(text, begin);
      const std::string_view part = text.substr(begin, end - begin);
      if (begin > 0 || prefix)
        append_part(part, known, ids);
      else
        append_encoded(bare_processor_, part, ids);
    }
  }

  void append_part(std::string_view part, Known& known, std::vector<TokenId>& ids) const {
    if (const auto at = known.find(part); at != known.end()) {
      ids.insert(ids.end(), at->second.begin(), at->second.end());
      return;
    }
    const size_t before = ids.size();
    append_encoded(processor_, part, ids);
    if (part.size() <= kLongestRemembered && known.size() < kMostRemembered)
      known.emplace(part,
                    std::vector<int>(ids.begin() + static_cast<ptrdiff_t>(before), ids.end()));
  }

  static void append_encoded(const Processor& processor, std::string_view part,
                             std::vector<TokenId>& ids) {
    std::vector<int> added;
    require_ok(processor.Encode({part.data(), part.size()}, &added), "sentencepiece");
    ids.insert(ids.end(), added.begin(), added.end());
  }

  // The library takes the space in front of each run for the one that it puts in front of a text.
  void append_decoded(std::vector<int>& run, std::string& text) const {
    if (run.empty()) return;
    std::string decoded;
    require_ok(processor_.Decode(run, &decoded), "sentencepiece");
    const bool inside = !text.empty();
    if (inside && processor_.IdToPiece(run.front()).starts_with(kSpace)) text += ' ';
    text += decoded;
    run.clear();
  }

  void require_known(TokenId id) const {
    const bool is_piece = id >= 0 && id < processor_.GetPieceSize();
    require(is_piece || added_->find(int64_t{id}) != nullptr,
            "token id {} is not in the vocabulary of {} tokens", id, vocabulary_size());
  }

  Processor processor_, bare_processor_;  // the second puts no space in front of a text
  SentencePieceCuts cuts_;
  bool legacy_, prefix_;
  Normalizers normalizers_;
  std::optional<AddedTokens> added_;
  std::vector<TokenId> before_, after_;
  std::unique_ptr<const Pattern> marker_ = literal_pattern(std::string(kSpace));
};

}  // namespace

std::unique_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& path,
                                                    const TokenizerSettings& settings) {
  return make_sentencepiece(read_file(path), settings);
}

std::unique_ptr<const Tokenizer> make_sentencepiece(const std::string& model,
                                                    const TokenizerSettings& settings) {
  return std::make_unique<SentencePieceTokenizer>(model, settings);
}

}  // namespace halftone
