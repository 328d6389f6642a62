// Coding Gaussian numbers on a trellis, one thread: microseconds a weight for every length of a
// state, the error that is left, and how many of the processor's additions a second the search
// makes: two a state and step (x - value, cost + square), beside a product, a comparison and two
// selections.
//
//   trellis_bench [bits, 2] [code, 3inst] [longest state, 16]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "kernels/trellis_kernels.h"
#include "timing.h"

namespace halftone {
namespace {

constexpr int kAccumulators = 8, kRounds = 1 << 16;

// Additions of independent vectors, from the registers.
typedef float Four __attribute__((vector_size(16)));
double add_four() {
  Four sums[kAccumulators] = {};
  const Four one = Four{} + 1.0F;
  for (int round = 0; round < kRounds; ++round)
    for (Four& sum : sums) {
      sum += one;
#if defined(__x86_64__)
      asm volatile("" : "+x"(sum));
#endif
    }
  return static_cast<double>(sums[0][0]);
}
#if defined(__x86_64__)
typedef float Eight __attribute__((vector_size(32)));
[[gnu::target("avx2")]] double add_eight() {
  Eight sums[kAccumulators] = {};
  const Eight one = Eight{} + 1.0F;
  for (int round = 0; round < kRounds; ++round)
    for (Eight& sum : sums) {
      sum += one;
      asm volatile("" : "+x"(sum));
    }
  return static_cast<double>(sums[0][0]);
}
typedef float Sixteen __attribute__((vector_size(64)));
[[gnu::target("avx512f")]] double add_sixteen() {
  Sixteen sums[kAccumulators] = {};
  const Sixteen one = Sixteen{} + 1.0F;
  for (int round = 0; round < kRounds; ++round)
    for (Sixteen& sum : sums) {
      sum += one;
      asm volatile("" : "+v"(sum));
    }
  return static_cast<double>(sums[0][0]);
}
#endif

// Additions a second of one thread on the widest registers that there are.
double peak_additions() {
  double (*work)() = add_four;
  int lanes = 4;
#if defined(__x86_64__)
  const InstructionSet set = best_instruction_set();
  if (set == InstructionSet::kAvx2) work = add_eight, lanes = 8;
  if (set == InstructionSet::kAvx512) work = add_sixteen, lanes = 16;
#endif
  volatile double sink = 0;
  const double seconds = least_seconds(20, [&] { sink = sink + work(); });
  return static_cast<double>(kRounds) * kAccumulators * lanes / seconds;
}

struct Measured {
  double seconds;  // a tile
  double error;    // a weight
};

Measured measure(const TrellisRule& rule, double scale, int tiles) {
  std::mt19937 random(1);
  std::normal_distribution<float> draw;
  std::vector<float> scratch(trellis_scratch_bytes(rule) / sizeof(float));
  const TrellisKernels kernels = trellis_kernels();
  Measured total{0, 0};
  for (int tile = 0; tile < tiles; ++tile) {
    std::vector<float> x(kTrellisTile), even(kTrellisTile, 1), values(kTrellisTile);
    std::vector<uint8_t> codes(kTrellisTile);
    for (float& each : x) each = draw(random) / static_cast<float>(scale);
    total.seconds += least_seconds(
        1, [&] { kernels.encode(rule, x.data(), even.data(), codes.data(), scratch.data()); });
    decode_trellis(rule, codes.data(), values.data());
    for (int i = 0; i < kTrellisTile; ++i)
      total.error += std::pow((static_cast<double>(x[i]) - values[i]) * scale, 2);
  }
  return {total.seconds / tiles, total.error / tiles / kTrellisTile};
}

}  // namespace
}  // namespace halftone

int main(int argc, char** argv) {
  using namespace halftone;
  const int bits = argc > 1 ? std::atoi(argv[1]) : 2;
  const std::string code = argc > 2 ? argv[2] : "3inst";
  const int longest = argc > 3 ? std::atoi(argv[3]) : kMostStateBits;
  const TrellisCodeValue value = find_trellis_code(code);
  if (value == nullptr || bits < 1 || bits > kMostTrellisBits) {
    std::fprintf(stderr, "trellis_bench: expected 1 to 4 bits and 3inst, 1mad or mcg\n");
    return 2;
  }
  const double peak = peak_additions();
  std::printf("%s, %s, %d bits; additions at most %.1f e9/s\n", instruction_set().c_str(),
              code.c_str(), bits, peak / 1e9);
  std::printf("%5s %12s %10s %12s %7s\n", "state", "us a weight", "error", "e9 adds/s", "share");
  for (int state_bits = kLeastStateBits; state_bits <= longest; state_bits += 2) {
    std::vector<float> values(size_t{1} << state_bits);
    double squares = 0;
    for (uint32_t state = 0; state < values.size(); ++state) {
      values[state] = value(state);
      squares += static_cast<double>(values[state]) * values[state];
    }
    const TrellisRule rule{bits, state_bits, values.data()};
    const double scale = 1.02 / std::sqrt(squares / static_cast<double>(values.size()));
    const Measured found = measure(rule, scale, std::max(4, 1 << (20 - state_bits)) / 4);
    const double steps = kTrellisTile + 2 * (128 / bits);
    const double rate = 2 * steps * static_cast<double>(values.size()) / found.seconds;
    std::printf("%5d %12.3f %10.4f %12.2f %6.1f%%\n", state_bits,
                found.seconds * 1e6 / kTrellisTile, found.error, rate / 1e9, 100 * rate / peak);
  }
  return 0;
}
