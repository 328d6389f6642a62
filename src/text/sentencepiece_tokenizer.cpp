#include "text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include "base/error.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/sentencepiece_cuts.h"
#include "text/vocabulary.h"

namespace halftone {
namespace {

constexpr size_t kLongestRemembered = 48;    // bytes of a part
constexpr size_t kMostRemembered = 1 << 16;  // parts

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string_view model, const TokenizerSettings& settings) : cuts_(model) {
    const auto status = processor_.LoadFromSerializedProto({model.data(), model.size()});
    require(status.ok(), "not a sentencepiece model: {}", printable(status.ToString()));
    add_bos_ = settings.add_bos.value_or(true) && processor_.bos_id() >= 0;
    add_eos_ = settings.add_eos.value_or(false) && processor_.eos_id() >= 0;
  }

  std::vector<TokenId> encode(std::string_view text, bool special) const override {
    const size_t invalid = first_invalid_utf8(text);
    require(invalid == text.size(), "the text is not UTF-8 at byte {}", invalid);
    std::vector<TokenId> ids;
    if (special && add_bos_) ids.push_back(processor_.bos_id());
    Known known;
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = cuts_.part_end(text, begin);
      append_part(text.substr(begin, end - begin), known, ids);
    }
    if (special && add_eos_) ids.push_back(processor_.eos_id());
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::vector<int> kept;
    kept.reserve(ids.size());
    for (const TokenId id : ids) {
      require_known(id);
      const bool is_special = processor_.IsControl(id) || processor_.IsUnknown(id);
      if (!skip_special || !is_special) kept.push_back(id);
    }
    std::string text;
    const auto status = processor_.Decode(kept, &text);
    require(status.ok(), "sentencepiece: {}", printable(status.ToString()));
    return text;
  }

  std::string piece(TokenId id) const override {
    require_known(id);
    return processor_.IdToPiece(id);
  }

  int64_t vocabulary_size() const override { return processor_.GetPieceSize(); }

  std::string description() const override {
    return fmt::format("sentencepiece, {} tokens", vocabulary_size());
  }

 private:
  using Known = TextMap<std::vector<int>>;  // of one call

  void append_part(std::string_view part, Known& known, std::vector<TokenId>& ids) const {
    if (const auto at = known.find(part); at != known.end()) {
      ids.insert(ids.end(), at->second.begin(), at->second.end());
      return;
    }
    std::vector<int> added;
    const auto status = processor_.Encode({part.data(), part.size()}, &added);
    require(status.ok(), "sentencepiece: {}", printable(status.ToString()));
    ids.insert(ids.end(), added.begin(), added.end());
    if (part.size() <= kLongestRemembered && known.size() < kMostRemembered)
      known.emplace(part, std::move(added));
  }

  void require_known(TokenId id) const {
    require(id >= 0 && id < vocabulary_size(), "token id {} is not in the vocabulary of {} tokens",
            id, vocabulary_size());
  }

  sentencepiece::SentencePieceProcessor processor_;
  SentencePieceCuts cuts_;
  bool add_bos_ = false, add_eos_ = false;
};

}  // namespace

std::unique_ptr<const Tokenizer> open_sentencepiece(const std::filesystem::path& path,
                                                    const TokenizerSettings& settings) {
  return std::make_unique<SentencePieceTokenizer>(read_file(path), settings);
}

}  // namespace halftone
