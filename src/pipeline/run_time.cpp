#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/products.h"
#include "pipeline/run_costs.h"
#include "pipeline/run_counts.h"
#include "pipeline/sample_linear.h"

namespace halftone {
namespace {

using Shares = std::vector<PlanReport::Share>;

constexpr int64_t kSolveRows = 256, kSolveColumns = 512;  // of the linear that is timed
constexpr int64_t kProductSide = 1024;

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
  const double taken = seconds_of(
      threads, 2, [&] { (void)solve_sample(recipe, kSolveRows, kSolveColumns, threads); });
  const double in = number(kSolveColumns), out = number(kSolveRows);
  const double products = recipe.objective.kind == ObjectiveKind::kNone
                              ? 0
                              : factor_products(in, false) + sweep_products(out, in, false);
  return std::max(0.0, taken - products * product) / (in * out);
}

// Products of one token in a block: its linears, and attention over half of the sequence.
double forward_products(const Model& model, int64_t block, int64_t length) {
  double products = number(length) * number(model.config().heads * model.config().head_dim);
  for (const LinearSlot& linear : model.linears_of_block(block))
    products += token_share(model, linear) * number(linear.out * linear.in);
  return products;
}

double measure_products(const QuantizeJob& job) {
  const Model& model = job.model();
  const double all_streams = streams(job), gradients = has_gradients(job) ? 3 : 0;
  const int64_t length = checked_length(job.request().length, model.config());
  double products = 0;
  for (int64_t block = 0; block < model.config().layers; ++block) {
    products += (all_streams + gradients) * forward_products(model, block, length);
    for (int stage = 0; stage < model.family().stages; ++stage)
      for (const StageWidth& input : inputs_of_stage(model, block, stage))
        products += (all_streams - 0.5) * input.tokens * number(input.width) * number(input.width);
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
  for (int64_t block = 0; block < model.config().layers && is_calibrated(job); ++block)
    for (int stage = 0; stage < model.family().stages; ++stage)
      for (const StageWidth& input : inputs_of_stage(model, block, stage))
        seconds += factor_products(number(input.width), two_streams) * product;
  return seconds;
}

double check_products(const QuantizeJob& job) {
  const Model& model = job.model();
  double products = number(model.config().vocab * model.config().hidden);
  for (int64_t block = 0; block < model.config().layers; ++block)
    products += forward_products(model, block, kCheckedLength);
  return 2 * kCheckedTokens * products;
}

}  // namespace

int64_t calibration_tokens(const QuantizeJob& job) {
  if (!is_calibrated(job)) return 0;
  return job.request().sequences * checked_length(job.request().length, job.model().config());
}

Shares time_of_run(const QuantizeJob& job) {
  const double product = seconds_of_product(job.execution().threads);
  Shares shares;
  if (is_calibrated(job)) shares.push_back({"calibrating", measure_products(job) * product});
  shares.push_back({"solving", solve_seconds(job, product)});
  if (job.request().check) shares.push_back({"checking", check_products(job) * product});
  return shares;
}

}  // namespace halftone
