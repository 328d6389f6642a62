#include "pipeline/calibration_texts.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/sha256.h"
#include "recipe/held_out.h"

namespace halftone {
namespace {

Corpus corpus_of(const OpenedModel& opened, const WeighedText& text) {
  return text.file.empty() ? builtin_corpus_for(opened) : read_corpus_for(opened, text.file);
}

// Shares of a few windows: where there are as many as texts, each gets one.
std::vector<int64_t> shares_of_each(int64_t count, const std::vector<double>& weights) {
  std::vector<int64_t> shares = shares_by_weight(count, weights);
  if (count < static_cast<int64_t>(shares.size())) return shares;
  for (int64_t& share : shares)
    if (share == 0) {
      --*std::max_element(shares.begin(), shares.end());
      ++share;
    }
  return shares;
}

void append(const TokenWindows& from, int64_t window, TokenWindows& to) {
  const auto begin = from.ids.begin() + static_cast<ptrdiff_t>(window * from.length);
  to.ids.insert(to.ids.end(), begin, begin + static_cast<ptrdiff_t>(from.length));
  ++to.count;
}

// The numbers of a run's windows in the order in which texts are chosen for them.
std::vector<int64_t> windows_by_use(int64_t count) {
  const int64_t held_out = count - held_out_for_target(count);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_partition(order.begin(), order.end(),
                        [](int64_t window) { return is_held_out_for_gate(window); });
  std::stable_partition(order.begin(), order.end(),
                        [&](int64_t window) { return window >= held_out; });
  return order;
}

// The text that is furthest behind its share once `chosen` windows have one.   given: by text
size_t furthest_behind(const std::vector<int64_t>& shares, const std::vector<int64_t>& given,
                       int64_t chosen, int64_t count) {
  const auto behind = [&](size_t text) {
    const bool first = given[text] == 0 && shares[text] > 1;  // one of each, then by share
    return std::pair(first && chosen < held_out_for_target(count),
                     shares[text] * (chosen + 1) - given[text] * count);
  };
  size_t furthest = 0;
  for (size_t text = 1; text < shares.size(); ++text)
    if (behind(text) > behind(furthest)) furthest = text;
  return furthest;
}

}  // namespace

std::vector<WeighedText> texts_of(const QuantizeRequest& request) {
  return request.calibration.empty() ? std::vector<WeighedText>(1) : request.calibration;
}

void require_sources(const QuantizeRequest& request, const ModelConfig& config) {
  require_weights(request.calibration);
  require(!config.reads_images() || request.calibration.size() <= 1,
          "--calibration: {} reads images, of which it takes one file or folder, found {}",
          config.architecture, request.calibration.size());
}

CalibrationTexts::CalibrationTexts(const OpenedModel& opened, const QuantizeRequest& request) {
  for (const WeighedText& text : texts_of(request)) {
    Part part{.text = text, .corpus = corpus_of(opened, text), .offsets = {}};
    for (const Part& other : parts_)
      require(other.corpus.ids_sha256 != part.corpus.ids_sha256,
              "{}: the same tokens as in {}; expected one --calibration of them, with the weight "
              "of both",
              text.place(), other.text.place());
    parts_.push_back(std::move(part));
  }
}

std::vector<double> CalibrationTexts::weights() const {
  std::vector<double> weights;
  for (const Part& part : parts_) weights.push_back(part.text.weight);
  return weights;
}

QuantizeRequest CalibrationTexts::fitted(QuantizeRequest request, const ModelConfig& config,
                                         std::string& note) const {
  if (!request.calibration.empty()) return request;
  const int64_t length = checked_length(request.length, config);
  const auto tokens = static_cast<int64_t>(parts_.front().corpus.ids.size());
  const int64_t most = tokens / length;  // leaves some to check
  require(most > 0,
          "--length {}: the text that comes with the program holds {} tokens: a shorter "
          "one, or --calibration FILE",
          length, tokens);
  if (request.sequences <= most) return request;
  note = fmt::format(
      "calibrated on {} windows in place of {}: the text that comes with the "
      "program holds no more of {} tokens (--calibration FILE: one that does)",
      most, request.sequences, length);
  request.sequences = most;
  return request;
}

void CalibrationTexts::draw(const QuantizeRequest& request, const ModelConfig& config) {
  const int64_t count = request.sequences;
  require(count > 0 && count <= kMostSequences, "--sequences {}: expected a number from 1 to {}",
          count, kMostSequences);
  const int64_t length = checked_length(request.length, config);
  std::vector<int64_t> shares = shares_by_weight(count, weights());
  std::vector<TokenWindows> drawn;
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    part.share = shares[i];
    with_context(part.text.place(), [&] {
      require(part.share > 0,
              "its weight {} comes to none of {} windows; more --sequences, or a greater weight",
              part.text.weight, count);
      drawn.push_back(random_windows(part.corpus, part.share, length, request.seed));
    });
    part.offsets = random_offsets(static_cast<int64_t>(part.corpus.ids.size()), part.share, length,
                                  request.seed);
  }
  windows_ = TokenWindows{0, length, {}};
  windows_->ids.reserve(static_cast<size_t>(count * length));
  std::vector<int64_t> next(parts_.size());
  for (const size_t text : mixed_order(shares)) append(drawn[text], next[text]++, *windows_);
}

CalibrationTexts::Apart CalibrationTexts::windows_apart(int64_t count, int64_t length) const {
  const std::vector<int64_t> shares = shares_of_each(count, weights());
  Apart apart{.windows = {0, length, {}}, .texts = {}};
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (shares[i] == 0) continue;
    const TokenWindows own = halftone::windows_apart(
        parts_[i].corpus, parts_[i].offsets, windows_ ? windows_->length : 0, shares[i], length);
    for (int64_t window = 0; window < own.count; ++window) append(own, window, apart.windows);
    apart.texts.insert(apart.texts.end(), static_cast<size_t>(own.count), parts_[i].text.name());
  }
  return apart;
}

CalibrationIdentity CalibrationTexts::identity(uint64_t seed, int64_t held_out) const {
  CalibrationIdentity identity{
      .texts = {},
      .sequences = windows_->count,
      .length = windows_->length,
      .seed = seed,
      .windows_sha256 = sha256_hex(std::as_bytes(std::span(windows_->ids))),
      .held_out_sequences = held_out};
  for (const Part& part : parts_)
    identity.texts.push_back({.text = part.corpus.name,
                              .ids_sha256 = part.corpus.ids_sha256,
                              .tokenizer = part.corpus.description,
                              .round_trip = part.corpus.round_trip,
                              .bos = part.corpus.bos,
                              .weight = part.text.weight,
                              .sequences = part.share});
  return identity;
}

std::vector<size_t> mixed_order(const std::vector<int64_t>& shares) {
  const int64_t count = std::accumulate(shares.begin(), shares.end(), int64_t{0});
  std::vector<int64_t> given(shares.size());
  std::vector<size_t> texts(static_cast<size_t>(count));
  int64_t chosen = 0;
  for (const int64_t window : windows_by_use(count)) {
    const size_t text = furthest_behind(shares, given, chosen++, count);
    texts[static_cast<size_t>(window)] = text;
    ++given[text];
  }
  return texts;
}

}  // namespace halftone
