// What attention keeps of the tokens that a sequence has had, so that those behind them are
// computed alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace halftone {

struct KeysAndValues {
  at::Tensor keys, values;  // (1, kv_heads, tokens, head_dim)
};

// Of one sequence at one layer.
class KeyValueCache {
 public:
  int64_t length() const { return length_; }
  // Keeps those of the next tokens, turned to their positions. Returns those of all tokens so far,
  // as views.
  // keys, values: (1, kv_heads, tokens, head_dim)
  KeysAndValues append(const at::Tensor& keys, const at::Tensor& values);

 private:
  at::Tensor keys_, values_;  // (1, kv_heads, room, head_dim)
  int64_t length_ = 0;
};

// A row of tokens that go on from several sequences, one sequence after another, at one layer.
struct CachedSequences {
  std::vector<int64_t> begins;         // of each sequence's tokens, and the end of the last
  std::vector<KeyValueCache*> caches;  // one a sequence
};

}  // namespace halftone
