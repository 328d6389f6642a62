// How much of the machine's matrix rate the end-loss calibration reaches: forward, backward and
// output Hessians.
//
//   backward_bench MODEL_FOLDER [THREADS=2] [SEQUENCES=4] [LENGTH=2048] [BLOCKS=2]
//
// Measured in the same run: the rate of a large matrix product in float32 and in bfloat16, then the
// pass over the last BLOCKS blocks and the loss, with the Hessians of all their linears. The share
// is the time the pass's arithmetic would take at those rates over the time it took. Counted: each
// block forward twice (its input is kept, nothing else) and backward once, logits forward and back,
// G = Delta^T X in float32, and the n (n + 1) m operations of the symmetric G^T G. The
// second objective, guided, forms no G.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>

#include "base/memory.h"
#include "base/random.h"
#include "calibrate/gradient_statistics.h"
#include "checkpoint/checkpoint.h"
#include "timing.h"

namespace {

using namespace halftone;

constexpr int kRounds = 4;  // the best counts, as of the products whose rate it is set against

struct Operations {
  double compute = 0, square = 0;  // in the compute dtype; in float32
};

Operations operations_of(const Model& model, double sequences, double length, double blocks,
                         bool hessians) {
  const double tokens = sequences * length;
  const ModelConfig& config = model.config();
  Operations count;
  for (const LinearSlot& slot : model.linears_of_block(0)) {
    const double product = 2 * tokens * static_cast<double>(slot.out * slot.in);
    count.compute += 3 * product;  // forward twice, then the gradient at the input
    if (!hessians) continue;
    count.square += product;  // G
    count.square += sequences * static_cast<double>(slot.in * (slot.in + 1) * slot.out);
  }
  // q k^T and p v, the causal half: forward twice; five products of that size backward for the two
  const double attention =
      tokens * (length + 1) * static_cast<double>(config.heads * config.head_dim);
  count.compute += (2 * 2 + 5) * attention;
  count.compute *= blocks;
  count.square *= blocks;
  count.compute += 4 * tokens * static_cast<double>(config.vocab * config.hidden);
  return count;
}

void run(const Model& model, const at::Tensor& ids, int64_t blocks, ObjectiveKind kind,
         at::ScalarType dtype, double rate32, double rate) {
  const Execution execution{at::kCPU, dtype, at::get_num_threads()};
  const Positions positions = model.positions(ids.size(1), execution);
  ObjectiveOptions objective;
  objective.kind = kind;
  TensorStore store(int64_t{1} << 40, ".");
  Sequences sequences(ids);
  const Activations entering = embedded(model, sequences, execution, at::kBFloat16);
  BackwardPass pass(model, sequences, execution, positions, store);
  const int64_t layers = model.config().layers;
  double took = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    GradientStatistics statistics(
        model, [&](const LinearSlot&) { return objective; }, sequences, execution.device, store);
    const auto start = Clock::now();
    pass.run(entering, layers - blocks, layers, {}, statistics);
    took = std::min(took, seconds_since(start));
  }
  const bool hessians = kind == ObjectiveKind::kOac;
  const Operations all =
      operations_of(model, static_cast<double>(ids.size(0)), static_cast<double>(ids.size(1)),
                    static_cast<double>(blocks), hessians);
  fmt::print("{} {}: {:.1f} Gop in {:.3f} s, share of the GEMM rate {:.1f} %\n",
             hessians ? "oac" : "guided", dtype_name(dtype), (all.compute + all.square) / 1e9, took,
             100 * (all.compute / rate + all.square / rate32) / took);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr,
               "usage: backward_bench MODEL_FOLDER [THREADS] [SEQUENCES] [LENGTH] [BLOCKS]\n");
    return 2;
  }
  const auto argument = [&](int i, int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  keep_freed_memory();  // as the program does
  at::set_num_threads(static_cast<int>(argument(2, 2)));
  print_products();
  const auto checkpoint = std::make_shared<const Checkpoint>(argv[1]);
  const Model model(checkpoint);
  const int64_t sequences = argument(3, 4), length = argument(4, 2048);
  const int64_t blocks = std::min<int64_t>(argument(5, 2), model.config().layers);
  Random random(0);
  at::Tensor ids = at::empty({sequences, length}, at::kInt);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.data_ptr<int32_t>()[i] =
        static_cast<int32_t>(random.below(static_cast<uint64_t>(model.config().vocab)));
  const bool narrow = !is_emulated(at::kBFloat16);
  const double rate32 = gemm_rate(at::kFloat), rate16 = narrow ? gemm_rate(at::kBFloat16) : 0;
  fmt::print(
      "GEMM {} threads: float32 {:.0f} Gop/s, bfloat16 {}\n", at::get_num_threads(), rate32 / 1e9,
      narrow ? fmt::format("{:.0f} Gop/s", rate16 / 1e9) : "left out, this processor emulates it");
  for (const ObjectiveKind kind : {ObjectiveKind::kOac, ObjectiveKind::kGuided}) {
    run(model, ids, blocks, kind, at::kFloat, rate32, rate32);
    if (narrow) run(model, ids, blocks, kind, at::kBFloat16, rate32, rate16);
  }
  return 0;
}
