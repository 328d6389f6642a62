#include "model/key_value_cache.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace halftone {
namespace {

constexpr int64_t kLeastRoom = 64;  // tokens

// The first `length` tokens of `kept`, if any, with room for as many as `room`.   like: (1,
// kv_heads, any, head_dim)
at::Tensor with_room(const at::Tensor& kept, int64_t length, int64_t room, const at::Tensor& like) {
  at::Tensor wider = at::empty({1, like.size(1), room, like.size(3)}, like.options());
  if (length > 0) wider.narrow(2, 0, length).copy_(kept.narrow(2, 0, length));
  return wider;
}

}  // namespace

KeysAndValues KeyValueCache::append(const at::Tensor& keys, const at::Tensor& values) {
  const int64_t tokens = keys.size(2), room = keys_.defined() ? keys_.size(2) : 0;
  if (length_ + tokens > room) {
    const int64_t wanted = std::max({kLeastRoom, length_ + tokens, room + room / 2});
    keys_ = with_room(keys_, length_, wanted, keys);
    values_ = with_room(values_, length_, wanted, values);
  }
  keys_.narrow(2, length_, tokens).copy_(keys);
  values_.narrow(2, length_, tokens).copy_(values);
  length_ += tokens;
  return {keys_.narrow(2, 0, length_), values_.narrow(2, 0, length_)};
}

}  // namespace halftone
