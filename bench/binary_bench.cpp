// What the binary grid's structure search costs (methods.md 4.4): a block by itself, and its share
// of quantizing a whole linear, beside GPTQ on the same layer. A plain program, as solve_bench is.
//
//   binary_bench [columns] [threads] [repetitions]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "quantize/grid/binary_structure.h"
#include "quantize/linear_solver.h"
#include "timing.h"

namespace {

using namespace halftone;

constexpr int64_t kBlock = 128;

void print(const char* what, double seconds, double weights) {
  std::printf("%-44s %8.3f s  %7.1f ns a weight\n", what, seconds, 1e9 * seconds / weights);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t in = argc > 1 ? std::atoll(argv[1]) : 4096;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const int repetitions = argc > 3 ? std::atoi(argv[3]) : 3;
  at::set_num_threads(threads);
  print_products();
  at::manual_seed(0);
  const int64_t rows = (in + kLanes - 1) / kLanes * kLanes;
  const at::Tensor block_weights = at::randn({kBlock, rows}).mul_(0.02);
  const std::vector<float> importance(kBlock, 1);
  const BinaryBlock<float> block{
      block_weights.const_data_ptr<float>(), kBlock, rows, rows, importance, threads};
  const BinaryKernels<float> kernels = lane_kernels<float>().binary;
  const double block_size = static_cast<double>(kBlock * rows);
  std::printf("%lld rows, %d threads, %s, least of %d\n", static_cast<long long>(rows), threads,
              instruction_set().c_str(), repetitions);
  print("one block, search as published (metric)",
        least_seconds(repetitions, [&] { search_on_metric(block, kernels); }), block_size);
  print("one block, ours (weights, then metric)",
        least_seconds(repetitions, [&] { search_on_weights(block, kernels); }), block_size);

  const at::Tensor inputs = at::randn({2 * in, in}).mul_(at::exp(0.7 * at::randn({in})));
  const LinearStatistics statistics{inputs.t().matmul(inputs), 2 * in};
  const at::Tensor weight = at::randn({in, in}).mul_(0.02);
  const auto time_recipe = [&](const char* what, const LinearRecipe& recipe) {
    const LinearSolver solver(statistics, recipe, threads);
    LinearOutcome outcome;
    print(what, least_seconds(repetitions, [&] { outcome = solver.quantize(weight); }),
          static_cast<double>(in * in));
    std::printf("  relative error %.6f\n", outcome.relative_error);
  };
  LinearRecipe recipe;
  recipe.grid.bits = 2;
  recipe.grid.clip_search = true;
  time_recipe("linear, gptq, 2 bits, clip search", recipe);
  recipe.grid = {.kind = GridKind::kBinary, .bits = 1};
  for (const auto& [name, mode] : {std::pair{"linear, binary, columns", BinaryMode::kColumns},
                                   {"linear, binary, joint", BinaryMode::kJoint},
                                   {"linear, binary, parity", BinaryMode::kParity}}) {
    recipe.grid.mode = mode;
    time_recipe(name, recipe);
  }
}
