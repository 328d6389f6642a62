#include "pipeline/opened_model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "base/place.h"
#include "base/sha256.h"
#include "pipeline/model_tokenizer.h"

namespace halftone {
namespace {

constexpr size_t kSampleBytes = 64 << 10;

}  // namespace

OpenedModel::OpenedModel(const std::filesystem::path& place)
    : OpenedModel(place, open_model(place)) {}

OpenedModel::OpenedModel(const std::filesystem::path& place,
                         std::shared_ptr<const PackedModel> opened)
    : path(place),
      weights(std::move(opened)),
      model(with_path(path, [&] { return Model(weights); })) {}

int64_t OpenedModel::quantized_linears() const {
  const std::vector<std::string> packed = weights->linears();  // an embedding and a head too
  return std::ranges::count_if(model.linears(), [&](const LinearSlot& linear) {
    return std::ranges::binary_search(packed, linear.name);
  });
}

nlohmann::json OpenedModel::config_json() const {
  nlohmann::json config = weights->config();
  config.update(model.config().unasked);
  return config;
}

std::string OpenedModel::fingerprint() const {
  const ModelSource& source = weights->source();
  std::string description = source.config().dump();
  for (const std::string& name : source.names()) {
    const StoredInfo stored = source.stored_info(name);
    const std::span<const std::byte> bytes = source.stored_data(name);
    const size_t sample = std::min(kSampleBytes, bytes.size());
    description += fmt::format("\n{} {} [{}]", name, stored.dtype, fmt::join(stored.shape, ","));
    for (const size_t at : {size_t{0}, (bytes.size() - sample) / 2, bytes.size() - sample})
      description += sha256_hex(bytes.subspan(at, sample));
    source.release(name);
  }
  return sha256_hex(std::as_bytes(std::span(description)));
}

std::vector<std::string> OpenedModel::notes() const {
  std::vector<std::string> all = weights->source().notes();
  for (const auto& more : {model.config().notes, weights->notes()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

void require_reads_text(const OpenedModel& opened) {
  const ModelConfig& config = opened.model.config();
  require(!config.reads_images(), "{}: {} reads images, not text: `evaluate` has --images for it",
          shown(opened.path), config.architecture);
}

Corpus read_corpus_for(const OpenedModel& opened, const std::filesystem::path& text) {
  require_reads_text(opened);
  const int64_t vocab = opened.model.config().vocab;
  if (holds_tokens(text)) return read_corpus(text, nullptr, vocab);
  const auto tokenizer = open_model_tokenizer(opened.path);
  return read_corpus(text, tokenizer.get(), vocab, model_chat_writer(opened.path));
}

Corpus builtin_corpus_for(const OpenedModel& opened) {
  return builtin_corpus(*open_model_tokenizer(opened.path), opened.model.config().vocab);
}

int64_t checked_length(int64_t length, const ModelConfig& config) {
  if (length == 0) return std::min<int64_t>(2048, config.context);
  require(length >= 2, "--length {}: a window needs at least 2 tokens", length);
  require(length <= config.context, "--length {}: the model's context is {} tokens", length,
          config.context);
  return length;
}

}  // namespace halftone
