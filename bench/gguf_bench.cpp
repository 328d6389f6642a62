// De-quantizing blocks of every GGUF type on one thread: GB/s of float32 output, the least of some
// repetitions over a row of a million weights.
//
//   gguf_bench [repetitions]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/gguf_blocks.h"
#include "timing.h"

int main(int argc, char** argv) {
  using namespace halftone;
  constexpr int64_t kWeights = int64_t{1} << 20;
  constexpr double kGoal = 1;  // GB/s
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 20;
  std::vector<float> weights(kWeights);
  std::printf("%-8s %6s %8s %8s\n", "type", "bits", "GB/s", "ns/256");
  int below = 0;
  for (const GgufType& type : gguf_types()) {
    const int64_t blocks = kWeights / type.block_length;
    std::vector<uint8_t> bytes(static_cast<size_t>(blocks * type.block_bytes));
    std::mt19937 random(1);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const double seconds =
        least_seconds(repetitions, [&] { type.decode(blocks, bytes.data(), weights.data()); });
    const double rate = static_cast<double>(kWeights) * sizeof(float) / seconds / 1e9;
    below += rate < kGoal;
    std::printf("%-8s %6.4g %8.2f %8.1f%s\n", std::string(type.name).c_str(),
                type.bits_per_weight(), rate, seconds * 1e9 / (static_cast<double>(kWeights) / 256),
                rate < kGoal ? "  below the goal" : "");
  }
  std::printf("%d types below %g GB/s\n", below, kGoal);
  return 0;
}
