// The one random generator: SplitMix64 (Steele, Lea, Flood 2014). Portable: the same seed gives the
// same numbers on every platform, which std::uniform_int_distribution does not promise.
#pragma once

#include <cstdint>

namespace halftone {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), bound > 0; without bias (rejection).
  uint64_t below(uint64_t bound) {
    const uint64_t limit = -bound % bound;  // 2^64 mod bound
    uint64_t value = next();
    while (value < limit) value = next();
    return value % bound;
  }

 private:
  uint64_t state_;
};

}  // namespace halftone
