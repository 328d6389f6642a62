// What a run's own check of its output found: `check` of interface.md 5.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace halftone {

struct SelfCheck {
  struct Number {
    double value = 0;
    std::optional<double> error;  // standard error; none for one window
  };
  // The part of the model that departs most from the full-precision one on the same input.
  struct Blame {
    std::string part;              // "model.layers.2"
    double error = 0, others = 0;  // its relative output error; the median of the other blocks'
    bool stands_out = false;
    std::string linear;  // of a block: the one whose weights are furthest off
    double linear_error = 0;
  };

  // Of a classifier: how often its likeliest class is the image's.
  struct Classes {
    Number accuracy, reference_accuracy;
  };

  std::string skipped;              // why nothing was scored; empty: everything below holds
  int64_t windows = 0, length = 0;  // of a classifier: images, of one decision each
  Number kl, top1, perplexity, reference_perplexity;
  std::optional<Classes> classes;  // in the place of perplexities and of a text
  double context_free_kl = 0;      // of the best guess that never looks at the context
  double limit = 0;                // of kl, beyond which the output counts as collapsed
  std::optional<Blame> blame;      // of a collapsed output
  std::string prompt, text;        // what it goes on with
  bool loops = false;
  std::string no_text;  // why there is no text; empty: there is
  double seconds = 0;
  std::vector<std::string> notes;  // for the run's report, not in JSON of this

  // A KL that is no number is beyond any limit.
  bool collapsed() const { return skipped.empty() && !(kl.value <= limit); }
};

void to_json(nlohmann::json& json, const SelfCheck& check);

// Label and text of each line, as quantize_totals has them.
std::vector<std::pair<std::string, std::string>> self_check_rows(const SelfCheck& check);
// One line that says what is wrong; "" where nothing is.
std::string collapse_text(const SelfCheck& check);

}  // namespace halftone
