#include "model/attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/compute.h"
#include "model/fused_layers.h"
#include "model/key_value_cache.h"
#include "model/row_access.h"

namespace halftone {
namespace {

constexpr int64_t kQueriesAtOnce = 512;  // whose scores are held, where they are computed apart

// Positions begin to end - 1.
struct Span {
  int64_t begin, end;
};

// (queries, keys), true where the one may see the other.   window: 0, all before it
at::Tensor visible(Span queries, Span keys, int64_t window, at::Device device) {
  const auto positions = [&](Span span) {
    return at::arange(span.begin, span.end, at::device(device).dtype(at::kLong));
  };
  const at::Tensor distance = positions(queries).unsqueeze(1) - positions(keys).unsqueeze(0);
  const at::Tensor before = distance.ge(0);
  return window > 0 ? before.logical_and(distance.lt(window)) : before;
}

// The same within one tree.
at::Tensor visible_in_tree(const TokenTrees& trees, Span tokens, int64_t window) {
  const auto part = [&](const at::Tensor& of) {
    return of.narrow(0, tokens.begin, tokens.end - tokens.begin);
  };
  const at::Tensor position = part(trees.positions), branch = part(trees.branches);
  const at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  const at::Tensor theirs = branch.unsqueeze(0);
  const at::Tensor before =
      theirs.eq(0).logical_or(theirs.eq(branch.unsqueeze(1))).logical_and(distance.ge(0));
  return window > 0 ? before.logical_and(distance.lt(window)) : before;
}

// What attention reads, as many heads each unless they are shared.
struct Heads {
  at::Tensor q, k, v;     // (batch, heads, length, head_dim)
  at::Tensor sinks = {};  // (1, heads, 1 or length of q, 1); undefined: none

  Heads part(Span queries, Span keys) const {
    const auto of = [](const at::Tensor& x, Span span) {
      return x.narrow(2, span.begin, span.end - span.begin);
    };
    return {of(q, queries), of(k, keys), of(v, keys), sinks};
  }
};

// Whether scores are not the library's.
bool is_apart(const AttentionOptions& options) {
  return options.cap > 0 || options.sinks != nullptr;
}

// Attention whose scores are capped before the softmax, or stand beside those of sinks.   seen:
// (queries, keys), or none: all -> as q
at::Tensor scored_attention(const Heads& heads, const std::optional<at::Tensor>& seen,
                            const AttentionOptions& options) {
  const double scale =
      options.scale > 0 ? options.scale : 1 / std::sqrt(static_cast<double>(heads.q.size(3)));
  at::Tensor scores = widened(at::matmul(heads.q, heads.k.transpose(2, 3))) * scale;
  scores = soft_capped(scores, options.cap);
  if (seen)
    scores = scores.masked_fill(seen->logical_not(), -std::numeric_limits<double>::infinity());
  const auto shares = [&] {
    if (!heads.sinks.defined()) return at::softmax(scores, -1);
    std::vector<int64_t> column = scores.sizes().vec();
    column.back() = 1;
    const at::Tensor sinks = heads.sinks.to(scores.scalar_type()).expand(column);
    return at::softmax(at::cat({scores, sinks}, -1), -1).narrow(-1, 0, scores.size(-1));
  };
  return at::matmul(shares().to(heads.v.scalar_type()), heads.v);
}

// The same of sequences, some queries at a time.
at::Tensor scored_causal_attention(const Heads& heads, const AttentionOptions& options) {
  const int64_t length = heads.q.size(2);
  std::vector<at::Tensor> mixed;
  for (int64_t begin = 0; begin < length; begin += kQueriesAtOnce) {
    const Span queries{begin, std::min(length, begin + kQueriesAtOnce)};
    const Span keys{options.window > 0 ? std::max<int64_t>(0, begin - options.window + 1) : 0,
                    queries.end};
    const at::Tensor seen = visible(queries, keys, options.window, heads.q.device());
    mixed.push_back(scored_attention(heads.part(queries, keys), seen, options));
  }
  return at::cat(mixed, 2);
}

// The library's attention.   seen: (queries, keys), or none: all, or all before if `causal`
at::Tensor plain_attention(const Heads& heads, const std::optional<at::Tensor>& seen,
                           const AttentionOptions& options, bool causal = false) {
  return at::scaled_dot_product_attention(
      heads.q, heads.k, heads.v, seen, /*dropout_p=*/0.0, causal,
      options.scale > 0 ? std::optional<double>(options.scale) : std::nullopt,
      /*enable_gqa=*/heads.q.size(1) > heads.k.size(1));
}

at::Tensor sequence_attention(const Heads& heads, const AttentionOptions& options) {
  if (!options.causal)
    return is_apart(options) ? scored_attention(heads, std::nullopt, options)
                             : plain_attention(heads, std::nullopt, options);
  if (is_apart(options)) return scored_causal_attention(heads, options);
  const Span all{0, heads.q.size(2)};
  const bool windowed = options.window > 0 && options.window < all.end;
  std::optional<at::Tensor> seen;
  if (windowed) seen = visible(all, all, options.window, heads.q.device());
  return plain_attention(heads, seen, options, /*causal=*/!windowed);
}

at::Tensor tree_attention(const Heads& heads, const AttentionOptions& options) {
  const TokenTrees& trees = *options.trees;
  std::vector<at::Tensor> mixed;
  for (size_t tree = 0; tree + 1 < trees.begins.size(); ++tree) {
    const Span tokens{trees.begins[tree], trees.begins[tree + 1]};
    const at::Tensor seen = visible_in_tree(trees, tokens, options.window);
    const Heads part = heads.part(tokens, tokens);
    mixed.push_back(is_apart(options) ? scored_attention(part, seen, options)
                                      : plain_attention(part, seen, options));
  }
  return at::cat(mixed, 2);
}

// Keys and values a head each, where several heads share them.
Heads spread(const Heads& heads, int64_t sharing) {
  return {heads.q, heads.k.repeat_interleave(sharing, 1), heads.v.repeat_interleave(sharing, 1),
          heads.sinks};
}

// Of one token: the heads that share keys and values are so many queries of one head, and all see
// everything.   -> as q
at::Tensor last_attention(const Heads& heads, const AttentionOptions& options) {
  const at::IntArrayRef shape = heads.q.sizes();
  const at::Tensor sinks =
      heads.sinks.defined() ? heads.sinks.view({1, heads.k.size(1), -1, 1}) : at::Tensor();
  const Heads folded{heads.q.reshape({1, heads.k.size(1), -1, shape[3]}), heads.k, heads.v, sinks};
  const at::Tensor mixed = is_apart(options) ? scored_attention(folded, std::nullopt, options)
                                             : plain_attention(folded, std::nullopt, options);
  return mixed.reshape(shape);
}

// Of the last tokens of a sequence; keys and values: of all.
at::Tensor attention_behind(const Heads& heads, const AttentionOptions& options) {
  const int64_t total = heads.k.size(2);
  const Span queries{total - heads.q.size(2), total};
  const Span keys{options.window > 0 ? std::max<int64_t>(0, queries.begin - options.window + 1) : 0,
                  total};
  const Heads part = heads.part({0, heads.q.size(2)}, keys);
  if (heads.q.size(2) == 1) return last_attention(part, options);
  const int64_t sharing = options.heads / options.kv_heads;
  const Heads each = sharing > 1 ? spread(part, sharing) : part;
  if (queries.begin == 0) return sequence_attention(each, options);
  const at::Tensor seen = visible(queries, keys, options.window, heads.q.device());
  return is_apart(options) ? scored_attention(each, seen, options)
                           : plain_attention(each, seen, options);
}

// heads: of the row's tokens, keys and values shared
at::Tensor cached_attention(const Heads& heads, const AttentionOptions& options) {
  const CachedSequences& row = *options.cached;
  std::vector<at::Tensor> mixed;
  for (size_t i = 0; i < row.caches.size(); ++i) {
    const Span tokens{row.begins[i], row.begins[i + 1]};
    const Heads part = heads.part(tokens, tokens);
    const KeysAndValues all = row.caches[i]->append(part.k, part.v);
    mixed.push_back(attention_behind({part.q, all.keys, all.values, part.sinks}, options));
  }
  return mixed.size() == 1 ? mixed.front() : at::cat(mixed, 2);
}

}  // namespace

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const RopeTable& table, const AttentionOptions& options) {
  const int64_t batch = q.size(0), length = q.size(1);
  const auto by_head = [&](const at::Tensor& x, int64_t heads) {
    return x.view({batch, length, heads, options.head_dim}).transpose(1, 2);
  };
  const auto turned = [&](const at::Tensor& x, int64_t heads) {
    if (!table.cos.defined()) return by_head(x, heads);
    return lies_in_rows(x) ? fused_rope(x, heads, table) : apply_rope(by_head(x, heads), table);
  };
  const at::Tensor queries = turned(q, options.heads);
  // on the CPU the library's attention shares keys and values among queries; backward it is faster
  // on copies, and on other devices not all of its kernels can share
  const int64_t sharing = options.heads / options.kv_heads;
  const bool backward = at::GradMode::is_enabled() && q.requires_grad();
  const bool copied = sharing > 1 && (backward || is_apart(options) || !q.is_cpu());
  const at::Tensor sinks =
      options.sinks != nullptr ? options.sinks->view({1, options.heads, 1, 1}) : at::Tensor();
  const Heads shared{queries, turned(k, options.kv_heads), by_head(v, options.kv_heads), sinks};
  const auto mix = [&] {
    if (options.cached) return cached_attention(shared, options);
    const Heads parts = copied ? spread(shared, sharing) : shared;
    return options.trees ? tree_attention(parts, options) : sequence_attention(parts, options);
  };
  const at::Tensor mixed = mix();
  return mixed.transpose(1, 2).reshape({batch, length, options.heads * options.head_dim});
}

QueryKeyValue split_whole(const at::Tensor& x, const AttentionOptions& options) {
  const int64_t q = options.heads * options.head_dim, kv = options.kv_heads * options.head_dim;
  const auto part = [&](int64_t first, int64_t width) {
    return x.narrow(-1, first, width).contiguous();
  };
  return {part(0, q), part(q, kv), part(q + kv, kv)};
}

QueryKeyValue split_groups(const at::Tensor& x, const AttentionOptions& options) {
  const int64_t sharing = options.heads / options.kv_heads;
  const at::Tensor groups = x.unflatten(-1, {options.kv_heads, sharing + 2, options.head_dim});
  const auto part = [&](int64_t first, int64_t heads) {
    return groups.narrow(-2, first, heads).flatten(-3).contiguous();
  };
  return {part(0, sharing), part(sharing, 1), part(sharing + 1, 1)};
}

}  // namespace halftone
