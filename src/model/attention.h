// Attention as a plain function on tensors: of sequences, of trees of tokens, and of tokens behind
// kept keys and values. Nothing is changed in place that a caller handed in but those.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/layers.h"

namespace halftone {

// A row of tokens that is not one sequence but trees, one after another: a trunk, and branches that
// each go on from its end. A token sees what stands before it in its trunk and its own branch, and
// itself.
struct TokenTrees {
  std::vector<int64_t> begins;     // of each tree in the row, and the end of the last
  at::Tensor branches, positions;  // (length): 0 in a trunk, else 1, 2, ...; in its own sequence
};

struct CachedSequences;  // model/key_value_cache.h

struct AttentionOptions {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool causal = true;  // a position sees those before it and itself; else all
  int64_t window = 0;  // each position sees so many, itself the last; 0: all before
  double scale = 0;    // of q k^T; 0: head_dim^-1/2
  double cap = 0;      // scores s become cap * tanh(s / cap); 0: they stay
  // (heads): of each head a score beside those of the positions, whose share of the softmax goes
  // nowhere (Xiao et al. 2023, arXiv 2309.17453, learned); null: none
  const at::Tensor* sinks = nullptr;
  const TokenTrees* trees = nullptr;  // of the one row that runs; null: every row is a sequence
  // Of the one row that runs: what its tokens go on from; null: from nothing.
  const CachedSequences* cached = nullptr;
};

// Attention with grouped key/value heads. q: (batch, length, heads * head_dim), k, v:
// (batch, length, kv_heads * head_dim); an undefined table turns nothing. Of trees and
// behind caches, batch is 1 and the table has a row a token.
// -> (batch, length, heads * head_dim)
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const RopeTable& table, const AttentionOptions& options);

// What one product gave of queries, keys and values, taken apart: q (batch, length, heads *
// head_dim), k, v (batch, length, kv_heads * head_dim), each in rows.
struct QueryKeyValue {
  at::Tensor q, k, v;
};
// Of all queries, then all keys, then all values.   x: (batch, length, (heads + 2 kv_heads) *
// head_dim)
QueryKeyValue split_whole(const at::Tensor& x, const AttentionOptions& options);
// Of each key/value head its queries, its key and its value.   x: as there
QueryKeyValue split_groups(const at::Tensor& x, const AttentionOptions& options);

}  // namespace halftone
