// Python's random.Random(seed) as far as random.sample goes (Matsumoto & Nishimura 1998: MT19937):
// lm-evaluation-harness draws its examples with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halftone {

class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  // random.sample(range(n), k): k different numbers below n, in the order drawn.   k <= n < 2^32
  std::vector<size_t> sample(size_t n, size_t k);

 private:
  void seed(uint32_t seed);
  void refill();
  uint32_t next();
  size_t below(size_t n);  // n > 0

  static constexpr size_t kWords = 624;
  std::array<uint32_t, kWords> state_;
  size_t used_ = kWords;  // words of the state that were given out
};

}  // namespace halftone
