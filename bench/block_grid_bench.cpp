// Fitting and rounding the blocks of GGUF's types on one thread, 16 rows of 256 columns at a time,
// in the sweep's own precision: nanoseconds a weight, the least of some repetitions over Gaussian
// weights.
//
//   block_grid_bench [repetitions, 20]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "kernels/lane_kernels.h"
#include "quantize/grid/super_block.h"
#include "timing.h"

namespace halftone {
namespace {

constexpr int64_t kColumns = 256, kWeights = kColumns * kLanes;
constexpr double kChoiceGoal = 200;  // ns a weight

struct Tile {
  std::vector<float> weights = std::vector<float>(kWeights),
                     importance = std::vector<float>(kColumns);

  Tile() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02F);
    std::uniform_real_distribution<float> uniform(0.5F, 2);
    for (float& weight : weights) weight = normal(random);
    for (float& each : importance) each = uniform(random);
  }
};

double nanoseconds(double seconds) {
  return seconds * 1e9 / kWeights;
}

void measure(const VectorRule& rule, const Tile& tile, int repetitions) {
  const VectorGridKernels<float> kernels = lane_kernels<float>().vector_grid;
  std::vector<float> scale_codes(16 * kLanes), steps(kLanes), scales(kLanes);
  std::vector<uint8_t> codes(kWeights);
  const auto fit = [&](bool thorough) {
    return least_seconds(repetitions, [&] {
      kernels.fit(rule, thorough, tile.weights.data(), tile.importance.data(), scale_codes.data(),
                  steps.data());
    });
  };
  const double shorter = fit(false), thorough = fit(true);
  const double choice = least_seconds(repetitions, [&] {
    for (int64_t at = 0; at < kColumns; at += kVectorColumns) {
      const int64_t group = at / rule.columns;
      for (int64_t lane = 0; lane < kLanes; ++lane)
        scales[lane] =
            static_cast<float>((2 * scale_codes[group * kLanes + lane] + 1) * rule.unit) *
            steps[lane];
      kernels.choose(rule, tile.weights.data() + at * kLanes, tile.importance.data() + at,
                     scales.data(), codes.data() + at * kLanes);
    }
  });
  std::printf("%-8s %10.1f %10.1f %10.1f%s\n", std::string(rule.type).c_str(), nanoseconds(shorter),
              nanoseconds(thorough), nanoseconds(choice),
              nanoseconds(choice) > kChoiceGoal ? "  above the goal" : "");
}

void measure(const GridOptions& grid, const char* name, const Tile& tile, int repetitions) {
  const SuperBlockKernels<float> kernels = lane_kernels<float>().super_block;
  SuperBlockRule rule = super_block_rule(grid);
  std::vector<float> scale_codes(16 * kLanes), offset_codes(16 * kLanes), scale(kLanes),
      offset(kLanes);
  std::vector<float> values(kLanes);
  std::vector<uint8_t> codes(kLanes);
  const auto fit = [&](bool search) {
    rule.search = search;
    return least_seconds(repetitions, [&] {
      kernels.fit(rule, tile.weights.data(), tile.importance.data(),
                  {scale_codes.data(), rule.top_offset > 0 ? offset_codes.data() : nullptr,
                   scale.data(), offset.data()});
    });
  };
  const double ranges = fit(false), search = fit(true);
  const double rounding = least_seconds(repetitions, [&] {
    for (int64_t column = 0; column < kColumns; ++column)
      kernels.round(rule, tile.weights.data() + column * kLanes, scale.data(), offset.data(),
                    codes.data(), values.data());
  });
  std::printf("%-8s %10.1f %10.1f %10.1f\n", name, nanoseconds(ranges), nanoseconds(search),
              nanoseconds(rounding));
}

}  // namespace
}  // namespace halftone

int main(int argc, char** argv) {
  using namespace halftone;
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 20;
  const Tile tile;
  std::printf("%s; ns a weight and thread\n", instruction_set().c_str());
  std::printf("%-8s %10s %10s %10s\n", "type", "short fit", "fit", "choice");
  for (const Codebook codebook : kCodebooks)
    measure(*find_vector_rule(codebook_shape(codebook).type), tile, repetitions);
  const char* names[] = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"};
  for (int bits = 2; bits <= 6; ++bits)
    measure({.kind = GridKind::kSuperBlock, .bits = bits}, names[bits - 2], tile, repetitions);
  for (const auto& [name, levels] :
       {std::pair{"IQ4_XS", Levels::kIq4Xs}, {"IQ4_NL", Levels::kIq4Nl}})
    measure({.kind = GridKind::kSuperBlock, .bits = 4, .levels = levels}, name, tile, repetitions);
  return 0;
}
