#include "pipeline/bit_candidates.h"

#include <algorithm>

#include "base/error.h"
#include "format/gguf_blocks.h"
#include "format/stored_size.h"
#include "pipeline/gguf_type_rules.h"
#include "recipe/rules.h"

namespace halftone {
namespace {

const std::vector<std::string> kWidths = {"2", "3", "4", "5", "6", "8"};
const std::vector<std::string> kTypes = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0"};
const std::vector<std::string> kSubstitutes = {"Q2_0", "IQ4_NL", "Q5_0"};
constexpr int kMostForDefault = 4;  // bits that a format has to hold to be the default

BitCandidate width(const std::string& name) {
  require(name.size() == 1 && name[0] >= '1' && name[0] <= '8',
          "--candidates: expected bits from 1 to 8 or, of a GGUF file, types, found {}",
          name.empty() ? "nothing" : printable(name));
  return {.name = name, .settings = {{"grid.bits", name}}, .is_width = true};
}

BitCandidate type(const std::string& name, bool compensated, bool substitute = false) {
  GridSettings settings = gguf_grid_settings(gguf_grid_type("--candidates", name), compensated);
  // what another one may have set
  if (std::none_of(settings.begin(), settings.end(),
                   [](const auto& setting) { return setting.first == "grid.levels"; }))
    settings.emplace_back("grid.levels", "even");
  return {.name = name, .settings = std::move(settings), .substitute = substitute};
}

void require_choice(const std::vector<BitCandidate>& candidates) {
  for (size_t i = 0; i < candidates.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      require(candidates[i].name != candidates[j].name, "--candidates: {} stands there twice",
              candidates[i].name);
  require(candidates.size() > 1, "--candidates {}: expected two or more to choose from",
          candidates.front().name);
}

// Why a linear cannot have this recipe at all; empty: it can.
std::string refusal_by_rules(const LinearRecipe& recipe, const ModelRecipe& model,
                             const LinearSlot& linear) {
  try {
    require_linear(recipe, model, linear.out, linear.in);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void plan_alone(const LinearSlot& linear, const LinearRecipe& recipe, OutputPlan& plan) {
  plan.linears = {
      {.name = linear.name, .out = linear.out, .in = linear.in, .grid = stored_grid(recipe)}};
}

}  // namespace

std::vector<BitCandidate> bit_candidates(const std::vector<std::string>& asked, bool gguf,
                                         bool compensated) {
  std::vector<BitCandidate> candidates;
  for (const std::string& name : !asked.empty() ? asked : gguf ? kTypes : kWidths)
    candidates.push_back(gguf ? type(name, compensated) : width(name));
  if (gguf && asked.empty())
    for (const std::string& name : kSubstitutes)
      candidates.push_back(type(name, compensated, /*substitute=*/true));
  require_choice(candidates);
  return candidates;
}

Recipe with_candidate(Recipe recipe, const std::string& linear, const BitCandidate& candidate) {
  recipe.rules.push_back({.match = linear, .settings = candidate.settings});
  return recipe;
}

BitMenu::BitMenu(const QuantizeJob& of_job, const Recipe& recipe, std::string in_format,
                 std::vector<BitCandidate> all)
    : job(of_job),
      format(std::move(in_format)),
      candidates(std::move(all)),
      plan(of_job.output_plan()) {
  OutputPlan alone = plan;
  const Format& holder = find_format(format);
  for (const LinearSlot& linear : job.model().linears()) {
    std::vector<LinearCandidate>& own = linears[linear.name];
    std::string why;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].substitute && linear.in % kSuperBlock == 0) continue;
      LinearRecipe changed =
          with_candidate(recipe, linear.name, candidates[i]).for_linear(linear.name);
      changed.grid.float16_scales = job.recipe().of(linear.name).grid.float16_scales;
      std::string refusal = refusal_by_rules(changed, recipe.model, linear);
      plan_alone(linear, changed, alone);
      if (refusal.empty()) refusal = holder.refusal(alone);
      if (refusal.empty()) own.push_back({i, changed});
      if (!refusal.empty() && why.empty()) why = fmt::format("{}: {}", candidates[i].name, refusal);
    }
    require(!own.empty(), "{}: can have none of the candidates ({})", linear.name, why);
  }
}

const LinearRecipe* BitMenu::find(const LinearSlot& linear, size_t candidate) const {
  for (const LinearCandidate& own : of(linear))
    if (own.candidate == candidate) return &own.recipe;
  return nullptr;
}

std::optional<double> BitMenu::stored_bits(const LinearSlot& linear,
                                           const LinearRecipe& recipe) const {
  const auto bytes = stored_linear_bytes(
      format, plan.dtype,
      {.name = linear.name, .out = linear.out, .in = linear.in, .grid = stored_grid(recipe)});
  return bytes ? std::optional(static_cast<double>(*bytes) * 8) : std::nullopt;
}

std::string format_of_candidates(const QuantizeJob& job, const Recipe& recipe,
                                 const std::vector<BitCandidate>& candidates) {
  OutputPlan plan = job.output_plan();
  const auto holds = [&](const Format& format) {
    for (const LinearSlot& linear : job.model().linears())
      for (const BitCandidate& candidate : candidates) {
        const LinearRecipe changed =
            with_candidate(recipe, linear.name, candidate).for_linear(linear.name);
        if (changed.grid.bits > kMostForDefault ||
            !refusal_by_rules(changed, recipe.model, linear).empty())
          continue;
        plan_alone(linear, changed, plan);
        if (!format.refusal(plan).empty() || format.only_on_request(plan)) return false;
      }
    return true;
  };
  const auto& all = formats();
  const auto found = std::find_if(all.begin(), all.end(), holds);
  return found == all.end() ? "native" : found->name;
}

}  // namespace halftone
