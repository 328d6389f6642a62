// A classifier, or one and its reference, over labelled images: classes, divergence, agreement.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/progress.h"
#include "evaluate/score.h"
#include "model/inputs.h"

namespace halftone {

// Images that are read as they are needed.
struct ImageBatches {
  int64_t count = 0;
  std::function<ModelInputs(int64_t first, int64_t count)> read;  // with labels
};

struct ImageScores {
  Scores scores;  // of each image a window of one position, whose next token is the class
  std::vector<uint8_t> correct, reference_correct;  // the likeliest class is the image's
  // What the best guess that never looks at the image diverges by from the reference.
  std::optional<double> context_free_kl;
};

// All blocks of both models are in memory. reference may be null.   Errors: classes or images that
// differ from the reference's.
ImageScores score_images(const Model& model, const Model* reference, const ImageBatches& images,
                         const Execution& execution, Progress& progress);

}  // namespace halftone
