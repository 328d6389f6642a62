#include "pipeline/tied_linears.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.h"

namespace halftone {
namespace {

// "self_attn" of "self_attn.q_proj"
std::string module_of(const std::string& linear) {
  const size_t dot = linear.rfind('.');
  return dot == std::string::npos ? "" : linear.substr(0, dot);
}

std::string tie_of(const LinearSlot& linear, bool fused) {
  if (!fused) return linear.name;
  const std::string block = linear.name.substr(0, linear.name.size() - linear.relative.size());
  if (linear.expert >= 0) return block + "experts";
  return fmt::format("{}{}, stage {}, input {}", block, module_of(linear.relative), linear.stage,
                     linear.input);
}

std::vector<TiedLinears> by_ties(const BitMenu& menu) {
  std::vector<TiedLinears> all;
  std::map<std::string, size_t> known;
  const bool fused = find_format(menu.format).fuses_linears;
  for (const LinearSlot& linear : menu.job.model().linears()) {
    const auto [at, is_new] = known.emplace(tie_of(linear, fused), all.size());
    if (is_new) all.emplace_back();
    TiedLinears& tied = all[at->second];
    if (is_new)
      for (const LinearCandidate& own : menu.of(linear)) tied.candidates.push_back(own.candidate);
    std::erase_if(tied.candidates,
                  [&](size_t candidate) { return menu.find(linear, candidate) == nullptr; });
    tied.linears.push_back(&linear);
  }
  return all;
}

// What a candidate costs the tied linears together; none: nobody knows.
std::optional<Choice> cost_of(const BitMenu& menu, const TiedLinears& tied, size_t candidate,
                              const Sensitivities* measured) {
  Choice sum;
  for (const LinearSlot* linear : tied.linears) {
    std::optional<double> bits = menu.stored_bits(*linear, *menu.find(*linear, candidate));
    if (measured != nullptr) {
      const CandidateCost& cost = measured->of(linear->name, menu.candidates[candidate].name);
      if (!bits) bits = cost.bits * static_cast<double>(linear->out * linear->in);
      sum.loss += cost.kl;
    }
    if (!bits) return std::nullopt;
    sum.size += *bits;
  }
  return std::isfinite(sum.loss) ? std::optional(sum) : std::nullopt;
}

}  // namespace

std::vector<TiedLinears> tied_linears(const BitMenu& menu, const Sensitivities* measured) {
  std::vector<TiedLinears> all = by_ties(menu);
  for (TiedLinears& tied : all) {
    require(!tied.candidates.empty(),
            "{}: no candidate that it and what engines run with it can have together",
            tied.linears.front()->name);
    std::erase_if(tied.candidates, [&](size_t candidate) {
      const std::optional<Choice> cost = cost_of(menu, tied, candidate, measured);
      if (cost) tied.choices.push_back(*cost);
      return !cost;
    });
    require(measured == nullptr || !tied.choices.empty(),
            "{}: no candidate's loss is a finite number", tied.linears.front()->name);
  }
  return all;
}

}  // namespace halftone
