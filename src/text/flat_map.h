// A read-mostly hash table from 64-bit keys to small values: open addressing, one cache line a
// look-up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace halftone {

template <class Value>
class FlatMap {
 public:
  // Room for `count` keys; none of them may be kEmpty.
  explicit FlatMap(size_t count = 0) {
    size_t slots = 16;
    while (slots < 2 * count) slots *= 2;
    slots_.resize(slots);
  }

  // A key given again takes the new value. Not more than `count` different keys.
  void set(uint64_t key, const Value& value) {
    Slot& slot = slots_[slot_of(key)];
    slot = {key, value};
  }

  const Value* find(uint64_t key) const {
    const Slot& slot = slots_[slot_of(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  static constexpr uint64_t kEmpty = ~uint64_t{0};

 private:
  struct Slot {
    uint64_t key = kEmpty;
    Value value{};
  };

  size_t slot_of(uint64_t key) const {
    size_t at = (key ^ key >> 32) * 0x9e3779b97f4a7c15 >> 20 & (slots_.size() - 1);
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace halftone
