// The layers of transformers, as plain functions on tensors. Nothing is changed in place that a
// caller handed in, so autograd can run through all of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/config.h"

namespace halftone {

// x / sqrt(mean(x^2) + epsilon) * (weight + offset), the mean in float32 or wider (Zhang & Sennrich
// 2019).   x: (..., width); weight: (width)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    double offset = 0);
// The same of every part of x that is as wide as the weight: of each head, or of all.
// x: (..., a multiple of width)
at::Tensor rms_norm_of_parts(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                             double offset = 0);

// (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias (Ba et al. 2016).   x: (..., width);
// weight, bias: (width)
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double epsilon);

// Rotary embeddings (Su et al. 2021), half-split form: cos and sin of every position and frequency
// pair.
struct RopeTable {
  at::Tensor cos, sin;  // (length, rotary_dim)
};
struct RopeOptions {
  int64_t dim = 0;  // how much of a head rotates
  double theta = 10000;
  RopeScaling scaling = {};
};
// Of each pair, in radians a token, after scaling, in sequences of `length` tokens at most.
// -> dim / 2
std::vector<double> rope_frequencies(const RopeOptions& options, int64_t length = 0);
RopeTable make_rope_table(const RopeOptions& options, int64_t length, at::Device device,
                          at::ScalarType dtype);
// The first numbers of each head, as many as the table is wide; the others stay.
// x: (batch, heads, length, head_dim)
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

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
  bool causal = true;                 // a position sees those before it and itself; else all
  int64_t window = 0;                 // each position sees so many, itself the last; 0: all before
  double scale = 0;                   // of q k^T; 0: head_dim^-1/2
  double cap = 0;                     // scores s become cap * tanh(s / cap); 0: they stay
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

// silu(gate) * up (Shazeer 2020).
at::Tensor gated_silu(const at::Tensor& gate, const at::Tensor& up);
at::Tensor activated(const at::Tensor& x, Activation activation);
// activated(gate) * up
at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation);

// cap * tanh(x / cap); 0: x.
at::Tensor soft_capped(const at::Tensor& x, double cap);

}  // namespace halftone
