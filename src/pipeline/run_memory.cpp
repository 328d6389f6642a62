#include <algorithm>
#include <functional>
#include <iterator>

#include "calibrate/sequences.h"
#include "pipeline/run_costs.h"
#include "pipeline/run_counts.h"

namespace halftone {
namespace {

using Shares = std::vector<PlanReport::Share>;

constexpr double kMebibyte = 1 << 20;
constexpr double kFloatBytes = 4, kStoredBytes = 2;  // of activations between stages: bfloat16

// Measured, as methods.md 12.3 tells.
constexpr double kProgramBytes = 165 * kMebibyte;  // with its libraries and their threads
constexpr double kSolveMatrices = 3.5;             // (in, in), beside the statistics themselves
constexpr double kLinearCopies = 6;                // (out, in) float32 while one is solved
constexpr double kBatchCopies = 2;                 // of a batch's numbers in a stage
constexpr double kGraphStages = 4;                 // of them, kept for the way back
constexpr double kHashedAtOnce = 16 * kMebibyte;   // weights of a matrix in few bits, read back
constexpr double kHashCopies = 2;                  // of these, while their grid is undone

double number_bytes(const QuantizeJob& job) {
  return number(static_cast<int64_t>(c10::elementSize(job.execution().dtype)));
}

double memory_limit(const QuantizeJob& job) {
  return number(job.calibration_options().memory_limit);
}

// Numbers of a token that wait between two stages: the residual stream and the state's parts.
double waiting_width(const Model& model) {
  int64_t width = model.config().hidden;
  for (const StatePart& part : model.family().parts) {
    int64_t greatest = 0;
    for (const Dim dim : part.widths) greatest = std::max(greatest, size_of(dim, model.config()));
    width += greatest;
  }
  return number(width);
}

// The block that has most; of alike ones the first.
int64_t largest_block(const Model& model) {
  int64_t largest = 0;
  for (int64_t block = 1; block < model.config().layers; ++block)
    if (weights_of(model.linears_of_block(block)) > weights_of(model.linears_of_block(largest)))
      largest = block;
  return largest;
}

// At most, over the largest block's stages.
double most_of_a_stage(const Model& model,
                       const std::function<double(int64_t block, int stage)>& of) {
  double most = 0;
  const int64_t block = largest_block(model);
  for (int stage = 0; stage < model.family().stages; ++stage)
    most = std::max(most, of(block, stage));
  return most;
}

// What stays over the whole run.
Shares memory_kept(const QuantizeJob& job) {
  const Model& model = job.model();
  const double all_streams = streams(job), tokens = number(calibration_tokens(job));
  const double block = weights_of(model.linears_of_block(largest_block(model)));
  Shares shares = {
      {"the program", kProgramBytes},
      {"activations", tokens * waiting_width(model) * kStoredBytes * all_streams},
      {"a block", block * number_bytes(job) * all_streams},
  };
  if (!has_gradients(job)) return shares;
  const double inputs =
      number(model.config().layers + 1) * tokens * number(model.config().hidden) * kStoredBytes;
  shares.push_back({"block inputs", std::min(inputs, memory_limit(job))});
  return shares;
}

Shares memory_of_measuring(const QuantizeJob& job) {
  const Model& model = job.model();
  const double sums = most_of_a_stage(model, [&](int64_t block, int stage) {
    double squares = 0;
    for (const StageWidth& input : inputs_of_stage(model, block, stage))
      squares += number(input.width) * number(input.width);
    return kFloatBytes * streams(job) * squares;
  });
  const double batch = most_of_a_stage(model, [&](int64_t block, int stage) {
    double widths = 0;
    for (const LinearSlot& linear : model.linears_of_stage(block, stage))
      widths += token_share(model, linear) * number(linear.out + linear.in);
    return kBatchCopies * number(Sequences::kTokensAtOnce) * number_bytes(job) * widths;
  });
  return {{"statistics", sums},
          {"a batch", batch * (has_gradients(job) ? kGraphStages : streams(job))}};
}

Shares memory_of_solving(const QuantizeJob& job) {
  const double matrices = most_of_a_stage(job.model(), [&](int64_t block, int stage) {
    double widest = 0;
    for (const StageWidth& input : inputs_of_stage(job.model(), block, stage))
      widest = std::max(widest, number(input.width));
    return kFloatBytes * kSolveMatrices * widest * widest;
  });
  double linear = 0;
  for (const LinearSlot& slot : job.model().linears())
    linear = std::max(linear, kLinearCopies * kFloatBytes * number(slot.out * slot.in));
  return {{"a factor", is_calibrated(job) ? matrices : 0}, {"a linear", linear}};
}

// An embedding or a head on its way into the output: mapped, and a copy; in few bits mapped, its
// codes by rows and joined, and some weights of it read back.
Shares memory_of_outer(const QuantizeJob& job) {
  const double mapped = number(static_cast<int64_t>(c10::elementSize(job.model().dtype())));
  double most = 0;
  for (const PlannedTensor& tensor : job.output_plan().others) {
    const double count = number(c10::multiply_integers(tensor.shape));
    const double codes = 2 * count + kHashCopies * kFloatBytes * std::min(count, kHashedAtOnce);
    most = std::max(most, tensor.grid ? mapped * count + codes : 2 * mapped * count);
  }
  return {{"the program", kProgramBytes},
          {"activations", number(calibration_tokens(job)) * waiting_width(job.model()) *
                              kStoredBytes * streams(job)},
          {"the embedding", most}};
}

// All weights at once, to write a line, where the limit lets them be.
Shares memory_of_check(const QuantizeJob& job) {
  const ModelConfig& config = job.model().config();
  const double all = kFloatBytes * number(job.model().parameters());
  return {{"the program", kProgramBytes},
          {"the embedding", kFloatBytes * number(config.vocab * config.hidden)},
          {"the written model", all <= memory_limit(job) ? all : 0}};
}

double sum_of(const Shares& shares) {
  double sum = 0;
  for (const PlanReport::Share& share : shares) sum += share.amount;
  return sum;
}

}  // namespace

Shares memory_of_run(const QuantizeJob& job) {
  // what is freed within a block stays until its end (base/memory.h): its parts add up
  Shares block = memory_kept(job);
  std::ranges::copy(memory_of_solving(job), std::back_inserter(block));
  if (is_calibrated(job)) std::ranges::copy(memory_of_measuring(job), std::back_inserter(block));
  std::vector<Shares> moments = {memory_of_outer(job), std::move(block)};
  if (job.request().check) moments.push_back(memory_of_check(job));
  return *std::ranges::max_element(moments, {}, sum_of);
}

double peak_of_run(const QuantizeJob& job) {
  return sum_of(memory_of_run(job));
}

}  // namespace halftone
