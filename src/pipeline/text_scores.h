// Scores models over one text: perplexity and, against a reference, divergence, by a protocol.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "evaluate/score.h"
#include "pipeline/noise_floor.h"
#include "pipeline/opened_model.h"

namespace halftone {

// How a text is cut and scored (methods.md 12).
enum class Protocol {
  kPaper,  // disjoint windows, scored from their second token on
  kLlama,  // as llama-perplexity: windows of 512, the second half of each scored
};

struct TextRequest {
  // Of several each is a group with numbers of its own. None: the windows that the reference's file
  // holds.
  std::vector<std::filesystem::path> texts;
  Protocol protocol = Protocol::kPaper;
  int64_t length = 0;             // tokens a window; 0: the protocol's
  int64_t windows = 0;            // of each text; 0: all
  int64_t generate = 0;           // short texts, from parts of the text on
  std::filesystem::path written;  // gets the model's log-probabilities (kLlama); empty: none
};

// What is compared; at most one of the two references.
struct TextModels {
  const OpenedModel& model;
  const OpenedModel* reference = nullptr;
  const LogProbabilityFile* kept_reference = nullptr;
};

// Of one reference, one set of windows and one execution: worked out once for all models that are
// compared with it.
struct KeptReference {
  ReferenceStates states;
  std::optional<NoiseFloor> noise_floor;
};

// Adds `protocol`, `generation` where it is asked for, `perplexity` and, against a reference, what
// follows from it, of several texts all together and each (interface.md 6). `kept`, if any, is
// used and filled in.   Errors: a text that the two tokenize differently, or of which the file
// holds other tokens; those of read_corpus_for, the windows and score_windows.
void add_text_scores(const TextRequest& request, const TextModels& models,
                     const Execution& execution, Progress& progress, KeptReference* kept,
                     nlohmann::json& result);

}  // namespace halftone
