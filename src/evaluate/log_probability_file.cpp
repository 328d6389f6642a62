#include "evaluate/log_probability_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace halftone {
namespace {

constexpr std::string_view kMagic = "_logits_";
constexpr size_t kHeaderBytes = kMagic.size() + 3 * sizeof(int32_t);  // length, vocab, count
constexpr double kDeepest = 16;  // nats below the likeliest token
constexpr double kGreatestCode = 65535;

// Two floats and a code a token, padded to whole pairs of codes.
size_t row_bytes(int64_t vocab) {
  return 2 * sizeof(float) + sizeof(uint16_t) * static_cast<size_t>((vocab + 1) / 2 * 2);
}

int64_t scored_of(int64_t length) {
  return length - 1 - length / 2;
}

int32_t integer_at(const std::byte* at) {
  int32_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

template <class Number>
void put(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

}  // namespace

bool is_log_probability_file(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) return false;
  std::array<char, kMagic.size()> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  return std::string_view(start.data(), start.size()) == kMagic;
}

LogProbabilityFile::LogProbabilityFile(const std::filesystem::path& path) : file_(path) {
  const auto bytes = file_.bytes();
  const std::string name = path.string();
  require(file_.text().starts_with(kMagic),
          "{}: expected a file of log-probabilities, which begins with {}", name, kMagic);
  require(bytes.size() >= kHeaderBytes, "{}: {} bytes hold no header; cut short?", name,
          bytes.size());
  const std::byte* at = bytes.data() + kMagic.size();
  length_ = integer_at(at);
  vocab_ = integer_at(at + sizeof(int32_t));
  count_ = integer_at(at + 2 * sizeof(int32_t));
  require(length_ >= kLeastLlamaLength && vocab_ > 0 && count_ > 0,
          "{}: windows of {} tokens, a vocabulary of {}, {} windows: not possible", name, length_,
          vocab_, count_);
  // none of these products overflows: each factor is below 2^31, and a row below 2^33 bytes
  const auto tokens = static_cast<size_t>(count_ * length_);
  const auto rows = static_cast<size_t>(count_ * scored_of(length_));
  const size_t rest = bytes.size() - kHeaderBytes;
  const bool ids_fit = tokens <= rest / sizeof(int32_t);
  const size_t for_rows = ids_fit ? rest - tokens * sizeof(int32_t) : 0;
  require(
      ids_fit && for_rows % row_bytes(vocab_) == 0 && for_rows / row_bytes(vocab_) == rows,
      "{}: expected {} windows of {} tokens with {} rows of {} bytes, found {} bytes; cut short?",
      name, count_, length_, rows, row_bytes(vocab_), bytes.size());
  ids_ = bytes.data() + kHeaderBytes;
  rows_ = ids_ + tokens * sizeof(int32_t);
  for (size_t i = 0; i < tokens; ++i) {
    const int32_t id = integer_at(ids_ + i * sizeof(int32_t));
    require(id >= 0 && id < vocab_, "{}: token {} is {}, outside its vocabulary of {}", name, i, id,
            vocab_);
  }
}

TokenWindows LogProbabilityFile::windows(int64_t limit) const {
  const int64_t count = limit == 0 ? count_ : std::min(limit, count_);
  TokenWindows windows{count, length_, {}, length_ / 2};
  windows.ids.resize(static_cast<size_t>(count * length_));
  std::memcpy(windows.ids.data(), ids_, windows.ids.size() * sizeof(TokenId));
  return windows;
}

at::Tensor LogProbabilityFile::rows(int64_t window, int64_t first, int64_t count) const {
  file_.require_unchanged();
  at::Tensor result = at::empty({count, vocab_}, at::kFloat);
  const int64_t row = window * scored_of(length_) + first - length_ / 2;
  for (int64_t i = 0; i < count; ++i) {
    const std::byte* at = rows_ + static_cast<size_t>(row + i) * row_bytes(vocab_);
    float scale, least;
    std::memcpy(&scale, at, sizeof(scale));
    std::memcpy(&least, at + sizeof(scale), sizeof(least));
    require(std::isfinite(scale) && std::isfinite(least),
            "{}: window {}, position {}: expected finite numbers, found {} and {}; damaged?",
            file_.path().string(), window, first + i, scale, least);
    const auto* codes = reinterpret_cast<const uint16_t*>(at + sizeof(scale) + sizeof(least));
    float* out = result.data_ptr<float>() + i * vocab_;
    for (int64_t v = 0; v < vocab_; ++v) out[v] = scale * static_cast<float>(codes[v]) + least;
  }
  return result;
}

LogProbabilityWriter::LogProbabilityWriter(const std::filesystem::path& path,
                                           const TokenWindows& windows, int64_t vocab)
    : pending_(path, PendingOutput::Kind::kFile, /*overwrite=*/false), file_(pending_.staging()) {
  std::string header(kMagic);
  for (const int64_t number : {windows.length, vocab, windows.count})
    put(header, static_cast<int32_t>(number));
  file_.write(header);
  file_.write(std::as_bytes(std::span(windows.ids)));
}

void LogProbabilityWriter::append(const at::Tensor& logits) {
  const at::Tensor values = logits.to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor greatest = std::get<0>(values.max(1, true));
  const at::Tensor lowest = at::maximum(std::get<0>(values.min(1, true)), greatest - kDeepest);
  const at::Tensor scale = ((greatest - lowest) / kGreatestCode).contiguous();
  const at::Tensor least = (lowest - values.logsumexp({1}, true)).contiguous();
  const at::Tensor codes = at::where(scale > 0, (values - lowest) / scale, at::zeros({1}))
                               .round_()
                               .clamp_(0, kGreatestCode)
                               .to(at::kInt)
                               .contiguous();
  const int64_t vocab = values.size(1);
  const auto* code = codes.data_ptr<int32_t>();
  std::string bytes;
  for (int64_t i = 0; i < values.size(0); ++i) {
    put(bytes, scale.data_ptr<float>()[i]);
    put(bytes, least.data_ptr<float>()[i]);
    for (int64_t v = 0; v < vocab; ++v) put(bytes, static_cast<uint16_t>(code[i * vocab + v]));
    if (vocab % 2 != 0) put(bytes, uint16_t{0});
  }
  file_.write(bytes);
}

void LogProbabilityWriter::commit() {
  file_.close();
  pending_.commit();
}

}  // namespace halftone
