#include "pipeline/opened_model.h"

#include "base/error.h"

namespace halftone {

OpenedModel::OpenedModel(const std::filesystem::path& path)
    : folder(path), weights(open_model(path)), model(with_context(path.string(), [&] {
        return Model(weights, weights->checkpoint().names());
      })) {}

Corpus read_corpus_for(const OpenedModel& opened, const std::filesystem::path& text) {
  const int64_t vocab = opened.model.config().vocab;
  if (text.extension() == ".tokens") return read_corpus(text, nullptr, vocab);
  const auto tokenizer = open_tokenizer(opened.folder);
  return read_corpus(text, tokenizer.get(), vocab);
}

int64_t checked_length(int64_t length, const ModelConfig& config) {
  if (length == 0) return std::min<int64_t>(2048, config.context);
  require(length >= 2, "--length {}: a window needs at least 2 tokens", length);
  require(length <= config.context, "--length {}: the model's context is {} tokens", length,
          config.context);
  return length;
}

}  // namespace halftone
