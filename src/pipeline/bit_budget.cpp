#include "pipeline/bit_budget.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "pipeline/output_plan.h"

namespace halftone {
namespace {

constexpr double kDecimals = 1e4;  // of bits in a message, away from what cannot be met

double largest_size(const std::vector<Choices>& all) {
  double size = 0;
  for (const Choices& choices : all)
    size += std::max_element(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
              return a.size < b.size;
            })->size;
  return size;
}

}  // namespace

double weight_count(const BitMenu& menu) {
  double count = 0;
  for (const LinearSlot& linear : menu.job.model().linears())
    count += static_cast<double>(linear.out * linear.in);
  return count;
}

double bytes_of_others(const BitMenu& menu) {
  double bytes = 0;
  for (const PlannedTensor& tensor : menu.plan.others)
    bytes += stored_bytes(menu.format, menu.plan, tensor);
  if (menu.plan.gguf)
    bytes += static_cast<double>(menu.plan.gguf->rope_factors.size() * sizeof(float));
  return bytes;
}

Budget bit_budget(const BitTarget& target, const BitMenu& menu,
                  const std::vector<Choices>& choices) {
  if (target.kl) {
    const double least = least_spent(choices, Budget::Of::kLoss);
    require(*target.kl >= least,
            "--target-kl {:g}: the candidates come to an estimated {:.3g} at least", *target.kl,
            least);
    return {Budget::Of::kLoss, *target.kl};
  }
  const double smallest = least_spent(choices, Budget::Of::kSize);
  const double largest = largest_size(choices);
  const double weights = weight_count(menu);
  if (target.bits) {
    const double budget = *target.bits * weights;
    require(budget >= smallest && budget <= largest,
            "--target-bits {:g}: the candidates come to {:.4f} bits a weight at least and {:.4f} "
            "at most",
            *target.bits, std::ceil(smallest / weights * kDecimals) / kDecimals,
            std::floor(largest / weights * kDecimals) / kDecimals);
    return {Budget::Of::kSize, budget};
  }
  const double others = bytes_of_others(menu), asked = static_cast<double>(*target.bytes);
  const double budget = (asked - others) * 8;
  require(
      budget >= smallest,
      "--target-size: {:.0f} bytes: the candidates come to {:.0f} at least, {:.0f} of these for "
      "what is not quantized",
      asked, others + std::ceil(smallest / 8), others);
  return {Budget::Of::kSize, budget};
}

std::vector<Choices> choices_of(const std::vector<TiedLinears>& all) {
  std::vector<Choices> choices;
  for (const TiedLinears& tied : all) {
    if (tied.choices.empty()) return {};
    choices.push_back(tied.choices);
  }
  return choices;
}

}  // namespace halftone
