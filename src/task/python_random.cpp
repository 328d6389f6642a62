#include "task/python_random.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <numeric>

namespace halftone {
namespace {

constexpr uint32_t kArraySeed = 19650218;

}  // namespace

void PythonRandom::seed(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < kWords; ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

// init_by_array of the one number
PythonRandom::PythonRandom(uint32_t number) {
  seed(kArraySeed);
  size_t i = 1;
  const auto mixed = [&](uint32_t factor) {
    return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor);
  };
  const auto go_on = [&] {
    if (++i < kWords) return;
    state_[0] = state_[kWords - 1];
    i = 1;
  };
  for (size_t count = 0; count < kWords; ++count, go_on()) state_[i] = mixed(1664525u) + number;
  for (size_t count = 1; count < kWords; ++count, go_on())
    state_[i] = mixed(1566083941u) - static_cast<uint32_t>(i);
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  for (size_t i = 0; i < kWords; ++i) {
    const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kWords] & 0x7fffffffu);
    state_[i] = state_[(i + 397) % kWords] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0u);
  }
  used_ = 0;
}

uint32_t PythonRandom::next() {
  if (used_ == kWords) refill();
  uint32_t y = state_[used_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

size_t PythonRandom::below(size_t n) {
  const int bits = std::bit_width(n);
  size_t drawn;
  do drawn = next() >> (32 - bits);
  while (drawn >= n);
  return drawn;
}

std::vector<size_t> PythonRandom::sample(size_t n, size_t k) {
  assert(k <= n && n < (size_t{1} << 32));
  size_t set_size = 21;
  if (k > 5) {
    size_t power = 1;  // 4^ceil(log4(3 k))
    while (power < 3 * k) power *= 4;
    set_size += power;
  }
  std::vector<size_t> drawn;
  if (n > set_size) {
    while (drawn.size() < k) {
      const size_t number = below(n);
      if (std::find(drawn.begin(), drawn.end(), number) == drawn.end()) drawn.push_back(number);
    }
    return drawn;
  }
  std::vector<size_t> pool(n);
  std::iota(pool.begin(), pool.end(), size_t{0});
  for (size_t i = 0; i < k; ++i) {
    const size_t at = below(n - i);
    drawn.push_back(pool[at]);
    pool[at] = pool[n - i - 1];
  }
  return drawn;
}

}  // namespace halftone
