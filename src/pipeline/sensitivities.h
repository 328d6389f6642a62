// What each linear costs the model's output at each of its candidates (methods.md 13.1, 13.2):
// measured once, kept in a file, good for every size.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/bit_candidates.h"

namespace halftone {

struct CandidateCost {
  double bits = 0;  // a weight, by the papers' count (methods.md 10)
  double kl = 0;    // estimated, nats a token; NaN: the numbers refused
};

struct Sensitivities {
  nlohmann::json identity;  // of what they were measured on
  // By the linear's name, then the candidate's.
  std::map<std::string, std::map<std::string, CandidateCost>> linears;

  // Error: not measured.
  const CandidateCost& of(const std::string& linear, const std::string& candidate) const;
};

void to_json(nlohmann::json& json, const Sensitivities& sensitivities);

// Errors: anything that to_json does not write, with the place in the text.
Sensitivities parse_sensitivities(std::string_view text);

// The recipe by which they are counted: that of a run, with errors by what they do to the model's
// own predictions, and no target against drift.
Recipe measuring_recipe(Recipe recipe);

// What decides the numbers, of a run by `recipe`.   menu: of a job of the measuring recipe
nlohmann::json identity_of_sensitivities(const BitMenu& menu, const Recipe& recipe);

// One pass over the model.
Sensitivities measure_sensitivities(const BitMenu& menu, const Recipe& recipe, Progress& progress);

}  // namespace halftone
