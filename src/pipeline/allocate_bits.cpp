#include "pipeline/allocate_bits.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "pipeline/bit_budget.h"
#include "pipeline/output_place.h"
#include "pipeline/run_identity.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

void require_place(const fs::path& path, const QuantizeRequest& request) {
  std::vector<fs::path> others = inputs_of(request);
  others.insert(others.end(), {request.out, journal_folder(request.out)});
  require_apart(path, others);
  require_creatable(path);
}

// Error: another text is there already, and the request does not overwrite.
void write_text(const fs::path& path, const std::string& text, bool overwrite) {
  if (is_there(path)) {
    require(kind_at(path) == PlaceKind::kFile, "{}: expected a file, found {}", shown(path),
            name_of(kind_at(path)));
    if (read_file(path) == text) return;
    require(overwrite, "{}: exists and says something else: --overwrite replaces it", shown(path));
  }
  write_file_atomically(path, text);
}

// A run that asks for a size, with all that is decided before anything is measured.
QuantizeRequest with_format(QuantizeRequest request, const BitTarget& target) {
  if (request.format.empty() && request.out.extension() == ".gguf") request.format = "gguf";
  if (!request.format.empty()) return request;
  QuantizeRequest looking = request;
  looking.recipe = measuring_recipe(std::move(looking.recipe));
  request.format =
      format_of_candidates(QuantizeJob(looking), looking.recipe,
                           bit_candidates(target.candidates, /*gguf=*/false, /*compensated=*/true));
  return request;
}

BitMenu menu_of(const QuantizeJob& job, const QuantizeRequest& request, const BitTarget& target) {
  const bool compensated = request.recipe.common.objective.kind != ObjectiveKind::kNone;
  return BitMenu(job, job.request().recipe, request.format,
                 bit_candidates(target.candidates, request.format == "gguf", compensated));
}

// What was measured before, if it is of the same model, recipe and text.
std::optional<Sensitivities> kept_sensitivities(const fs::path& path,
                                                const nlohmann::json& identity, bool overwrite) {
  if (!is_there(path)) return std::nullopt;
  return with_path(path, [&]() -> std::optional<Sensitivities> {
    Sensitivities kept = parse_sensitivities(read_file(path));
    const std::string change = first_change(kept.identity, identity);
    if (change.empty()) return kept;
    require(overwrite, "of another measurement ({}): --overwrite measures again", change);
    return std::nullopt;
  });
}

Sensitivities sensitivities_of(const BitMenu& menu, const QuantizeRequest& request,
                               const BitTarget& target, Progress& progress,
                               Allocation& allocation) {
  const nlohmann::json identity = identity_of_sensitivities(menu, request.recipe);
  if (auto kept = kept_sensitivities(target.sensitivities, identity, request.overwrite))
    return std::move(*kept);
  // before the work: a target that cannot be met
  if (const auto sizes = choices_of(tied_linears(menu, nullptr)); !sizes.empty() && !target.kl)
    (void)bit_budget(target, menu, sizes);
  Sensitivities measured = measure_sensitivities(menu, request.recipe, progress);
  allocation.measured = true;
  write_file_atomically(target.sensitivities, nlohmann::json(measured).dump(1) + "\n");
  return measured;
}

// What one candidate of all linears comes to; none: some cannot have it.
std::optional<Choice> total_of(size_t candidate, const std::vector<TiedLinears>& all) {
  Choice sum;
  for (const TiedLinears& tied : all) {
    const auto at = std::find(tied.candidates.begin(), tied.candidates.end(), candidate);
    if (at == tied.candidates.end()) return std::nullopt;
    const Choice& own = tied.choices[static_cast<size_t>(at - tied.candidates.begin())];
    sum = {sum.size + own.size, sum.loss + own.loss};
  }
  return sum;
}

// One candidate of all linears, the best within the budget.
void set_alike(const BitMenu& menu, const std::vector<TiedLinears>& all, const Budget& budget,
               Allocation& allocation) {
  std::optional<Choice> best;
  for (size_t candidate = 0; candidate < menu.candidates.size(); ++candidate) {
    const std::optional<Choice> sum = total_of(candidate, all);
    if (!sum || budget.spent(*sum) > budget.most) continue;
    if (best && budget.cost(*sum) >= budget.cost(*best)) continue;
    best = sum;
    allocation.alike = {menu.candidates[candidate].label(), sum->size / weight_count(menu),
                        sum->loss};
  }
}

// By linear: which of the menu's candidates.
using Chosen = std::vector<std::pair<const LinearSlot*, size_t>>;

Chosen choose_candidates(const BitMenu& menu, const std::vector<TiedLinears>& all,
                         const Budget& budget, Allocation& allocation) {
  const std::vector<Choices> choices = choices_of(all);
  const std::vector<size_t> chosen = choose(choices, budget);
  const Choice sum = total(choices, chosen);
  const double weights = weight_count(menu);
  allocation.bits = sum.size / weights;
  allocation.kl = sum.loss;
  Chosen of_linears;
  for (size_t i = 0; i < all.size(); ++i)
    for (const LinearSlot* linear : all[i].linears) {
      const size_t candidate = all[i].candidates[chosen[i]];
      of_linears.emplace_back(linear, candidate);
      allocation.shares[menu.candidates[candidate].label()] +=
          static_cast<double>(linear->out * linear->in) / weights;
    }
  return of_linears;
}

// Whether the recipe's common part may say what most linears get: no rule is there to override it,
// and what it sets every other candidate sets too.
bool common_part_is_free(const Recipe& recipe, const BitMenu& menu, const Chosen& chosen) {
  return recipe.rules.empty() && std::none_of(chosen.begin(), chosen.end(), [&](const auto& of) {
           const auto& settings = menu.candidates[of.second].settings;
           return std::any_of(settings.begin(), settings.end(), [](const auto& setting) {
             return setting.first.starts_with("order.");
           });
         });
}

// A recipe that a user can read and edit: what most linears get in its common part, where that can
// be, and a rule for each of the others.
Recipe recipe_of(Recipe recipe, const BitMenu& menu, const Chosen& chosen) {
  std::vector<size_t> counts(menu.candidates.size());
  for (const auto& [linear, candidate] : chosen) ++counts[candidate];
  const auto most =
      static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const bool free = common_part_is_free(recipe, menu, chosen);
  if (free)
    for (const auto& [key, text] : menu.candidates[most].settings)
      apply_setting(recipe, key + "=" + text);
  for (const auto& [linear, candidate] : chosen)
    if (!free || candidate != most)
      recipe = with_candidate(std::move(recipe), linear->name, menu.candidates[candidate]);
  return recipe;
}

}  // namespace

BitTarget with_files(BitTarget target, const fs::path& out) {
  const fs::path place = place_of(out);
  const auto beside = [&](const char* ending) {
    return place.parent_path() / (place.filename().string() + ending);
  };
  if (target.recipe.empty()) target.recipe = beside(".recipe.toml");
  if (target.sensitivities.empty()) target.sensitivities = beside(".sensitivities.json");
  return target;
}

Allocation allocate_bits(const QuantizeRequest& asked, const BitTarget& with, Progress& progress) {
  const BitTarget target = with_files(with, asked.out);
  require(!asked.imatrix, "--imatrix: bits are chosen by what they cost on a text");
  require_place(target.recipe, asked);
  require_place(target.sensitivities, asked);
  Allocation allocation{.request = with_format(asked, target), .shares = {}, .alike = {}};
  QuantizeRequest& request = allocation.request;

  QuantizeRequest measuring = request;
  measuring.recipe = measuring_recipe(measuring.recipe);
  const QuantizeJob job(measuring);
  const BitMenu menu = menu_of(job, request, target);
  const Sensitivities measured = sensitivities_of(menu, request, target, progress, allocation);
  const std::vector<TiedLinears> tied = tied_linears(menu, &measured);
  const Budget budget = bit_budget(target, menu, choices_of(tied));
  const Chosen chosen = choose_candidates(menu, tied, budget, allocation);
  set_alike(menu, tied, budget, allocation);

  request.recipe = recipe_of(std::move(request.recipe), menu, chosen);
  request.recipe.name = target.recipe.stem().string();
  request.recipe_file = target.recipe;
  write_text(target.recipe, to_toml(request.recipe), request.overwrite);
  return allocation;
}

}  // namespace halftone
