// The demo model and token ids for tests of calibration.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>

#include "calibrate/stream.h"
#include "checkpoint/checkpoint.h"
#include "model/model.h"

namespace halftone::testing {

inline constexpr size_t kDown = 6;  // its down projection in Block::linears

inline Model open_demo() {
  const auto checkpoint = std::make_shared<const Checkpoint>(
      std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  return Model(checkpoint);
}

// Not text, but every token is known to the model.
inline at::Tensor some_ids(int64_t sequences, int64_t length) {
  return at::arange(sequences * length, at::kInt).remainder(500).view({sequences, length}) + 3;
}

inline double relative_error(const at::Tensor& a, const at::Tensor& exact) {
  return ((a.to(at::kDouble) - exact.to(at::kDouble)).norm() / exact.to(at::kDouble).norm())
      .item<double>();
}

// A stream with sequences of its own.
struct OwnSequences {
  Sequences sequences;
};
struct DemoStream : OwnSequences, Stream {
  DemoStream(const Model& model, const at::Tensor& ids, const Execution& execution,
             bool two_streams, at::ScalarType storage = at::kFloat)
      : OwnSequences{Sequences(ids)},
        Stream(model, sequences, embedded(model, sequences, execution, storage), execution,
               two_streams) {}

  using Stream::measure;
  // X^T X of the stage's only input, with all that goes with it.
  LinearStatistics measure(const Block& block, const Block& original, int stage) {
    return measure(block, original, stage, std::vector<StageSum>(1)).front();
  }
};

}  // namespace halftone::testing
