// What linears may get where bits are chosen by measurement: widths of the recipe's own grid, or
// types of a GGUF file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/quantize_job.h"

namespace halftone {

struct BitCandidate {
  std::string name;                                           // "3", "Q3_K"
  std::vector<std::pair<std::string, std::string>> settings;  // keys of a recipe and their values
  bool substitute = false;  // only of linears whose rows are no whole number of super-blocks
  bool is_width = false;    // bits of the recipe's own grid

  std::string label() const { return is_width ? name + " bits" : name; }
};

// asked: their names; empty: 2, 3, 4, 5, 6 and 8 bits, or Q2_K to Q6_K and Q8_0, and where these do
// not divide the rows Q2_0, IQ4_NL, Q5_0 and Q8_0. Errors: none of these; one twice; only one.
// compensated: an objective weighs errors
std::vector<BitCandidate> bit_candidates(const std::vector<std::string>& asked, bool gguf,
                                         bool compensated);

// The recipe in which a linear has the candidate's settings.
Recipe with_candidate(Recipe recipe, const std::string& linear, const BitCandidate& candidate);

// One that a linear can have, and its recipe then.
struct LinearCandidate {
  size_t candidate = 0;  // of the menu's
  LinearRecipe recipe;
};

// All of a run.
struct BitMenu {
  // recipe: what the candidates change. Errors: a linear that can have none of them in this format,
  // with the reason.
  BitMenu(const QuantizeJob& job, const Recipe& recipe, std::string format,
          std::vector<BitCandidate> candidates);

  const QuantizeJob& job;
  std::string format;  // what holds them
  std::vector<BitCandidate> candidates;
  OutputPlan plan;  // of the job
  // By the linear's name, in the order of `candidates`.
  std::map<std::string, std::vector<LinearCandidate>, std::less<>> linears;

  const std::vector<LinearCandidate>& of(const LinearSlot& linear) const {
    return linears.find(linear.name)->second;
  }
  const LinearRecipe* find(const LinearSlot& linear, size_t candidate) const;  // null: it cannot
  // What the linear takes in the format; none: only solving tells.
  std::optional<double> stored_bits(const LinearSlot& linear, const LinearRecipe& recipe) const;
};

// The first format that holds every candidate up to 4 bits that the job's grid can have at all, and
// needs no asking: what a run without --format writes.
std::string format_of_candidates(const QuantizeJob& job, const Recipe& recipe,
                                 const std::vector<BitCandidate>& candidates);

}  // namespace halftone
