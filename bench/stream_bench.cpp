// How much of the machine's matrix rate the streaming calibration pass reaches.
//
//   stream_bench MODEL_FOLDER [THREADS=2] [SEQUENCES=8] [LENGTH=2048] [BLOCKS=8]
//
// In float32 and in bfloat16, over some blocks in turn: the rate of a large matrix product just
// before and after a block's pass, the best of each five, their mean, as a machine's rate drifts;
// and the block's pass. A share is the time that the block's products would take at that rate
// (linears, attention, and n (n + 1) T operations for a Hessian) over the time it took; printed are
// the median block's and the least and largest. What is missing went into everything that is not a
// product, and into products too small for the full rate.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "base/random.h"
#include "calibrate/stream.h"
#include "checkpoint/checkpoint.h"
#include "timing.h"

namespace {

using namespace halftone;
double operations_of_block(const Model& model, double tokens, double length) {
  double count = 0;
  int last_stage = -1;
  for (const LinearSlot& slot : model.linears_of_block(0)) {
    count += 2 * tokens * static_cast<double>(slot.out * slot.in);
    if (slot.stage != last_stage) count += tokens * static_cast<double>(slot.in * (slot.in + 1));
    last_stage = slot.stage;
  }
  const auto width = static_cast<double>(model.config().heads * model.config().head_dim);
  count += 2 * tokens * (length + 1) * width;  // q k^T and p v, causal half
  return count;
}

void run(const Model& model, const at::Tensor& ids, int64_t blocks, at::ScalarType dtype) {
  const Execution execution{at::kCPU, dtype, at::get_num_threads()};
  Sequences sequences(ids);
  Stream stream(model, sequences, embedded(model, sequences, execution, at::kBFloat16), execution,
                false);
  const std::vector<StageSum> asked(1);  // X^T X of each stage's input
  const auto tokens = static_cast<double>(ids.numel());
  const double one = operations_of_block(model, tokens, static_cast<double>(ids.size(1)));
  std::vector<double> shares, rates, seconds;
  double rate_before = gemm_rate(dtype);
  for (int64_t i = 0; i <= blocks; ++i) {  // the first block warms up
    const Block block = model.load_block(i, execution, stream.positions());
    const auto start = Clock::now();
    for (int stage = 0; stage < model.family().stages; ++stage)
      (void)stream.measure(block, block, stage, asked);
    stream.leave(block, block);
    const double taken = seconds_since(start), rate_after = gemm_rate(dtype);
    const double rate = (rate_before + rate_after) / 2;
    rate_before = rate_after;
    if (i == 0) continue;
    seconds.push_back(taken);
    rates.push_back(rate);
    shares.push_back(100 * one / rate / taken);
  }
  std::ranges::sort(shares);
  const double taken = median(seconds);
  fmt::print(
      "stream {}: {:.1f} Gop a block in {:.3f} s, {:.0f} tokens/s a block; "
      "GEMM {:.0f} Gop/s, share of it {:.1f} % ({:.1f} to {:.1f})\n",
      dtype_name(dtype), one / 1e9, taken, tokens / taken, median(rates) / 1e9, median(shares),
      shares.front(), shares.back());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr,
               "usage: stream_bench MODEL_FOLDER [THREADS] [SEQUENCES] [LENGTH] [BLOCKS]\n");
    return 2;
  }
  const auto argument = [&](int i, int64_t otherwise) {
    return argc > i ? static_cast<int64_t>(std::atoll(argv[i])) : otherwise;
  };
  const at::NoGradGuard no_grad;
  keep_freed_memory();  // as the program does
  at::set_num_threads(static_cast<int>(argument(2, 2)));
  print_products();
  const auto checkpoint = std::make_shared<const Checkpoint>(argv[1]);
  const Model model(checkpoint);
  const int64_t sequences = argument(3, 8), length = argument(4, 2048);
  const int64_t blocks = std::min(argument(5, 8), model.config().layers - 1);
  if (blocks < 1) {
    fmt::print(stderr, "stream_bench: expected BLOCKS of 1 or more, of a model of 2 or more\n");
    return 2;
  }
  Random random(0);
  at::Tensor ids = at::empty({sequences, length}, at::kInt);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.data_ptr<int32_t>()[i] =
        static_cast<int32_t>(random.below(static_cast<uint64_t>(model.config().vocab)));
  run(model, ids, blocks, at::kFloat);
  if (is_emulated(at::kBFloat16))
    fmt::print("bfloat16: left out, this processor emulates it\n");
  else
    run(model, ids, blocks, at::kBFloat16);
  return 0;
}
