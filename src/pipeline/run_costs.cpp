#include "pipeline/run_costs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>

#include "base/memory.h"
#include "calibrate/sequences.h"
#include "kernels/products.h"
#include "quantize/linear_solver.h"

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

constexpr int64_t kSolveRows = 256, kSolveColumns = 512;  // of the linear that is timed
constexpr int64_t kProductSide = 1024;
constexpr double kCheckedTokens = 4 * 512;  // pipeline/self_check.cpp

double number(int64_t value) {
  return static_cast<double>(value);
}

bool calibrated(const QuantizeJob& job) {
  return job.request().recipe.needs_calibration() && !job.request().imatrix;
}

double streams(const QuantizeJob& job) {
  return job.calibration_options().two_streams ? 2 : 1;
}

double number_bytes(const QuantizeJob& job) {
  return number(static_cast<int64_t>(c10::elementSize(job.execution().dtype)));
}

double memory_limit(const QuantizeJob& job) {
  return number(job.calibration_options().memory_limit);
}

bool has_gradients(const QuantizeJob& job) {
  return job.recipe().any(
      [](const LinearRecipe& linear) { return linear.objective.needs_gradients(); });
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

double weights_of(std::span<const LinearSlot> linears) {
  double count = 0;
  for (const LinearSlot& linear : linears) count += number(linear.out * linear.in);
  return count;
}

// The block that has most; of alike ones the first.
int64_t largest_block(const Model& model) {
  int64_t largest = 0;
  for (int64_t block = 1; block < model.config().layers; ++block)
    if (weights_of(model.linears_of_block(block)) > weights_of(model.linears_of_block(largest)))
      largest = block;
  return largest;
}

// The widths of a stage's inputs, each once; of a mixture its experts'.
std::vector<int64_t> inputs_of_stage(std::span<const LinearSlot> linears) {
  std::map<size_t, int64_t> widths;
  for (const LinearSlot& linear : linears) widths[linear.input] = linear.in;
  std::vector<int64_t> found;
  for (const auto& [input, width] : widths) found.push_back(width);
  return found;
}

// At most, over the largest block's stages.
double most_of_a_stage(const Model& model,
                       const std::function<double(std::span<const LinearSlot>)>& of) {
  double most = 0;
  const int64_t block = largest_block(model);
  for (int stage = 0; stage < model.family().stages; ++stage)
    most = std::max(most, of(model.linears_of_stage(block, stage)));
  return most;
}

double squares(const std::vector<int64_t>& widths) {
  double sum = 0;
  for (const int64_t width : widths) sum += number(width) * number(width);
  return sum;
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
  const double sums = most_of_a_stage(model, [&](std::span<const LinearSlot> linears) {
    return kFloatBytes * streams(job) * squares(inputs_of_stage(linears));
  });
  const double batch = most_of_a_stage(model, [&](std::span<const LinearSlot> linears) {
    double widths = 0;
    for (const LinearSlot& linear : linears) widths += number(linear.out + linear.in);
    return kBatchCopies * number(Sequences::kTokensAtOnce) * number_bytes(job) * widths;
  });
  return {{"statistics", sums},
          {"a batch", batch * (has_gradients(job) ? kGraphStages : streams(job))}};
}

Shares memory_of_solving(const QuantizeJob& job) {
  const double matrices = most_of_a_stage(job.model(), [&](std::span<const LinearSlot> linears) {
    const double widest = number(std::ranges::max(inputs_of_stage(linears)));
    return kFloatBytes * kSolveMatrices * widest * widest;
  });
  double linear = 0;
  for (const LinearSlot& slot : job.model().linears())
    linear = std::max(linear, kLinearCopies * kFloatBytes * number(slot.out * slot.in));
  return {{"a factor", calibrated(job) ? matrices : 0}, {"a linear", linear}};
}

// An embedding or a head on its way into the output: mapped, and a copy.
Shares memory_of_outer(const QuantizeJob& job) {
  double most = 0;
  for (const PlannedTensor& tensor : job.output_plan().others)
    most = std::max(most, number(c10::multiply_integers(tensor.shape)));
  return {{"the program", kProgramBytes},
          {"the embedding",
           2 * most * number(static_cast<int64_t>(c10::elementSize(job.model().dtype())))}};
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

// Of this process alone, as if it had its threads' cores to itself.
double seconds_of(int threads, int times, const std::function<void()>& work) {
  double least = std::numeric_limits<double>::max();
  for (int i = 0; i < times; ++i) {
    const double start = processor_seconds();
    work();
    least = std::min(least, processor_seconds() - start);
  }
  return least / threads;
}

// Seconds of one multiplication and addition in a large product, all threads.
double seconds_of_product(int threads) {
  const at::Tensor a = at::ones({kProductSide, kProductSide}, at::kFloat);
  at::Tensor c = at::empty_like(a);
  return seconds_of(threads, 3, [&] { at::mm_out(c, a, a); }) / std::pow(number(kProductSide), 3);
}

// What a solve takes in products: the factor of (in, in) and what follows from it, once for the
// linears that share an input; the sweep's updates and error, and a pre-shift, for each.
double factor_products(double in, bool two_streams) {
  return in * in * in * (two_streams ? 2.0 : 1.0);
}
double sweep_products(double out, double in, bool two_streams) {
  return out * in * in * (two_streams ? 2.5 : 1.5);
}

// Seconds of a weight in the grid's own search, beside products.
double seconds_of_weight(const LinearRecipe& recipe, double product, int threads) {
  const auto random = at::detail::createCPUGenerator(0);
  const at::Tensor weight = at::randn({kSolveRows, kSolveColumns}, random, at::kFloat);
  LinearStatistics statistics;
  if (recipe.objective.kind != ObjectiveKind::kNone)
    statistics = {.hessian = at::eye(kSolveColumns, at::kFloat), .tokens = kSolveColumns};
  LinearRecipe alone = recipe;
  alone.target = {};
  if (recipe.objective.kind != ObjectiveKind::kNone)
    alone.objective = {.kind = ObjectiveKind::kInput, .damping = recipe.objective.damping};
  const double taken = seconds_of(
      threads, 2, [&] { (void)LinearSolver(statistics, alone, threads).quantize(weight); });
  const double in = number(kSolveColumns), out = number(kSolveRows);
  const double products = recipe.objective.kind == ObjectiveKind::kNone
                              ? 0
                              : factor_products(in, false) + sweep_products(out, in, false);
  return std::max(0.0, taken - products * product) / (in * out);
}

// Products of one token in a block: its linears, and attention over half of the sequence.
double forward_products(const Model& model, int64_t block, int64_t length) {
  const double attention = number(length) * number(model.config().heads * model.config().head_dim);
  return weights_of(model.linears_of_block(block)) + attention;
}

double measure_products(const QuantizeJob& job) {
  const Model& model = job.model();
  const double all_streams = streams(job), gradients = has_gradients(job) ? 3 : 0;
  const int64_t length = checked_length(job.request().length, model.config());
  double products = 0;
  for (int64_t block = 0; block < model.config().layers; ++block) {
    products += (all_streams + gradients) * forward_products(model, block, length);
    for (int stage = 0; stage < model.family().stages; ++stage)
      products +=
          (all_streams - 0.5) * squares(inputs_of_stage(model.linears_of_stage(block, stage)));
  }
  return products * number(calibration_tokens(job));
}

double solve_seconds(const QuantizeJob& job, double product) {
  const Model& model = job.model();
  const bool two_streams = job.calibration_options().two_streams;
  std::vector<std::pair<LinearRecipe, double>> of_weight;  // seconds, by what is solved
  double seconds = 0;
  for (const LinearSlot& linear : model.linears()) {
    const LinearRecipe& recipe = job.recipe().of(linear.name);
    auto known =
        std::ranges::find_if(of_weight, [&](const auto& each) { return each.first == recipe; });
    if (known == of_weight.end())
      known = of_weight.insert(
          known, {recipe, seconds_of_weight(recipe, product, job.execution().threads)});
    const double in = number(linear.in), out = number(linear.out);
    seconds += known->second * in * out;
    if (recipe.objective.kind == ObjectiveKind::kNone) continue;
    seconds += sweep_products(out, in, two_streams) * product;
  }
  for (int64_t block = 0; block < model.config().layers && calibrated(job); ++block)
    for (int stage = 0; stage < model.family().stages; ++stage)
      for (const int64_t width : inputs_of_stage(model.linears_of_stage(block, stage)))
        seconds += factor_products(number(width), two_streams) * product;
  return seconds;
}

double check_products(const QuantizeJob& job) {
  const Model& model = job.model();
  double products = number(model.config().vocab * model.config().hidden);
  for (int64_t block = 0; block < model.config().layers; ++block)
    products += forward_products(model, block, 512);
  return 2 * kCheckedTokens * products;
}

}  // namespace

int64_t calibration_tokens(const QuantizeJob& job) {
  if (!calibrated(job)) return 0;
  return job.request().sequences * checked_length(job.request().length, job.model().config());
}

Shares memory_of_run(const QuantizeJob& job) {
  // what is freed within a block stays until its end (base/memory.h): its parts add up
  Shares block = memory_kept(job);
  std::ranges::copy(memory_of_solving(job), std::back_inserter(block));
  if (calibrated(job)) std::ranges::copy(memory_of_measuring(job), std::back_inserter(block));
  std::vector<Shares> moments = {memory_of_outer(job), std::move(block)};
  if (job.request().check) moments.push_back(memory_of_check(job));
  return *std::ranges::max_element(moments, {}, sum_of);
}

double peak_of_run(const QuantizeJob& job) {
  return sum_of(memory_of_run(job));
}

Shares time_of_run(const QuantizeJob& job) {
  const double product = seconds_of_product(job.execution().threads);
  Shares shares;
  if (calibrated(job)) shares.push_back({"calibrating", measure_products(job) * product});
  shares.push_back({"solving", solve_seconds(job, product)});
  if (job.request().check) shares.push_back({"checking", check_products(job) * product});
  return shares;
}

}  // namespace halftone
