// What the pre-shift of a transformer block's weights takes beside their sweeps, linears that share
// an input sharing what can be shared (q, k, v; gate, up).
//
//   shift_bench [hidden] [key/value] [intermediate] [threads] [repetitions]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/memory.h"
#include "quantize/factor.h"
#include "quantize/linear_solver.h"
#include "quantize/order.h"
#include "quantize/target.h"
#include "timing.h"

namespace {

using namespace halftone;

struct Input {
  const char* linears;
  int64_t columns;
  std::vector<int64_t> rows;  // of each linear, bfloat16 numbers as in the models' files
};

// `gptq` with groups of 64 and 3 bits.
LinearRecipe recipe() {
  LinearRecipe result;
  result.grid.bits = 3;
  result.grid.group_size = 64;
  result.grid.clip_search = true;
  result.order.kind = OrderKind::kActivation;
  return result;
}

// Adds the seconds of an input's sweeps and shifts.
void time_input(const Input& input, int threads, int repetitions, double& sweeps, double& shifts) {
  const int64_t in = input.columns;
  const at::Tensor x = at::randn({2 * in, in}).mul_(at::exp(0.7 * at::randn({in})));
  const LinearStatistics statistics{x.t().matmul(x), 2 * in};
  std::vector<at::Tensor> weights;
  for (const int64_t rows : input.rows)
    weights.push_back(at::randn({rows, in}).mul_(0.02).to(at::kBFloat16).to(at::kFloat));
  const LinearSolver solver(statistics, recipe(), threads);
  const double sweep = least_seconds(repetitions, [&] {
    for (const at::Tensor& weight : weights) (void)solver.quantize(weight);
  });
  const HessianDiagonal diagonal = diagonal_of(statistics.hessian, DampingReference::kMean);
  const std::vector<int64_t> columns = column_order(OrderKind::kActivation, diagonal.values);
  const at::Tensor upper = factor_with_ladder(statistics.hessian, diagonal, columns, 0.01).upper;
  const at::Tensor moment = at::randn({in, in});
  const double shift = least_seconds(repetitions, [&] {
    const WeightShift shared(moment, upper, columns);
    for (const at::Tensor& weight : weights) (void)shared.of(weight);
  });
  std::printf("%-12s sweeps %7.4f s   shifts %7.4f s   %.2f\n", input.linears, sweep, shift,
              shift / sweep);
  sweeps += sweep;
  shifts += shift;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int place, int64_t otherwise) {
    return argc > place ? std::atoll(argv[place]) : otherwise;
  };
  const int64_t hidden = argument(1, 576), key = argument(2, 192), wide = argument(3, 1536);
  const int threads = static_cast<int>(argument(4, 2));
  const int repetitions = static_cast<int>(argument(5, 7));
  if (std::min({hidden, key, wide, int64_t{threads}, int64_t{repetitions}}) < 1) {
    std::fprintf(stderr, "shift_bench: expected numbers of 1 or more\n");
    return 2;
  }
  keep_freed_memory();  // as the program does
  at::set_num_threads(threads);
  print_products();
  at::manual_seed(0);
  double sweeps = 0, shifts = 0;
  for (const Input& input :
       {Input{"q, k, v", hidden, {hidden, key, key}}, Input{"o", hidden, {hidden}},
        Input{"gate, up", hidden, {wide, wide}}, Input{"down", wide, {hidden}}})
    time_input(input, threads, repetitions, sweeps, shifts);
  std::printf("%-12s sweeps %7.4f s   shifts %7.4f s   %.2f\n", "a block", sweeps, shifts,
              shifts / sweeps);
}
