// What states of a trellis stand for (trellis_kernels.h), and the way back from codes.
#include "kernels/gguf/numbers.h"
#include "kernels/trellis_kernels.h"

namespace halftone {
namespace {

// Two float16 numbers of random sign and magnitude, from 1/8 up to 2.
float sum_of_halves(uint32_t hash) {
  const uint32_t halves = (hash & 0x8fff8fffU) ^ 0x3b603b60U;
  const float sum = gguf::float16_of(static_cast<uint16_t>(halves)) +
                    gguf::float16_of(static_cast<uint16_t>(halves >> 16));
  return gguf::float16_of(gguf::nearest_float16_bits(sum));
}

float three_instructions(uint32_t state) {
  return sum_of_halves(89226354U * state + 64248484U);
}

float multiplied(uint32_t state) {
  return sum_of_halves(0xcbac1fedU * state);
}

float sum_of_bytes(uint32_t state) {
  const uint32_t hash = 34038481U * state + 76625530U;
  const uint32_t sum = (hash & 255) + (hash >> 8 & 255) + (hash >> 16 & 255) + (hash >> 24);
  return (static_cast<float>(sum) - 510.0F) / 147.8F;
}

}  // namespace

TrellisCodeValue find_trellis_code(std::string_view word) {
  if (word == "3inst") return three_instructions;
  if (word == "1mad") return sum_of_bytes;
  if (word == "mcg") return multiplied;
  return nullptr;
}

size_t trellis_scratch_bytes(const TrellisRule& rule) {
  const size_t states = size_t{1} << rule.state_bits, classes = states >> rule.bits;
  return 2 * (classes + kTrellisPadding) * sizeof(float) + kTrellisTile * (states >> 4);
}

void decode_trellis(const TrellisRule& rule, const uint8_t* codes, float* values) {
  const uint32_t mask = (1U << rule.state_bits) - 1;
  uint32_t state = 0;
  for (int before = kTrellisTile - rule.state_bits; before < kTrellisTile; ++before)
    state = (state << rule.bits | codes[before]) & mask;
  for (int step = 0; step < kTrellisTile; ++step) {
    state = (state << rule.bits | codes[step]) & mask;
    values[step] = rule.values[state];
  }
}

}  // namespace halftone
