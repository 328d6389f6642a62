// Bits chosen by measurement (methods.md 13): a request for a size becomes one by a plain recipe,
// whose rules say what each linear gets.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/progress.h"
#include "pipeline/bit_target.h"
#include "pipeline/quantize_request.h"

namespace halftone {

struct Allocation {
  // The run by the chosen recipe, as if that had been read from its file (recipe_file), in the
  // format that the choice was made for.
  QuantizeRequest request;
  double bits = 0;                       // stored, a weight of the quantized linears
  double kl = 0;                         // estimated, nats a token
  std::map<std::string, double> shares;  // of the weights, by the candidate's label
  bool measured = false;                 // false: by the file of a measurement before
  // The candidate that is best if all linears get it, of those within the target.
  struct Alike {
    std::string candidate;  // its label
    double bits = 0, kl = 0;
  };
  std::optional<Alike> alike;
};

// OUT.recipe.toml and OUT.sensitivities.json, unless the target says otherwise.
BitTarget with_files(BitTarget target, const std::filesystem::path& out);

// Measures what each candidate of each linear costs, or reads what was measured before for this
// model, recipe and text, chooses, and writes both files. A file that says something else is left
// alone, unless the request overwrites.
// Errors: an imatrix; a target that cannot be met, with what can (a size before any work);
// those of QuantizeJob.
Allocation allocate_bits(const QuantizeRequest& request, const BitTarget& target,
                         Progress& progress);

}  // namespace halftone
