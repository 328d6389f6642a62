// llama-perplexity's files of log-probabilities (`--kl-divergence-base`; formats.md 12.5): what a
// model says of every token of the vocabulary at the scored positions of a text, in 16 bits a
// number.
//
// A row is a scale, a least log-probability and a code a token: log p = scale * code + least.
// Tokens that are 16 nats or more below the likeliest have code 0, so a row's probabilities add up
// to a little more than 1.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "base/files.h"
#include "text/corpus.h"

namespace halftone {

// Whether a file begins as one.
bool is_log_probability_file(const std::filesystem::path& path);

class LogProbabilityFile {
 public:
  // Errors: another kind of file, sizes that the file does not have, ids outside the vocabulary.
  explicit LogProbabilityFile(const std::filesystem::path& path);

  int64_t vocab() const { return vocab_; }
  // The text it was made from, cut as llama_windows does but without BOS in front of later windows;
  // at most `limit` windows (0: all).
  TokenWindows windows(int64_t limit) const;
  // What the model gave to the tokens behind positions [first, first + count) of a window, of which
  // the first is windows().first_scored.   -> log p, (count, vocab) float32
  at::Tensor rows(int64_t window, int64_t first, int64_t count) const;

 private:
  MappedFile file_;
  int64_t length_ = 0, vocab_ = 0, count_ = 0;
  const std::byte* ids_ = nullptr;
  const std::byte* rows_ = nullptr;
};

class LogProbabilityWriter {
 public:
  // The file appears by `commit`, complete or not at all.   windows: those of LogProbabilityFile.
  // Errors: a file that is there already; those of PendingOutput and OutputFile.
  LogProbabilityWriter(const std::filesystem::path& path, const TokenWindows& windows,
                       int64_t vocab);

  // Of the next scored positions, in the order of the windows.   logits: (positions, vocab)
  void append(const at::Tensor& logits);
  void commit();

 private:
  PendingOutput pending_;
  OutputFile file_;
};

}  // namespace halftone
