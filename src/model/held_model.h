// A model whose weights are all in memory, run on tokens that go on from those before: for
// generation, which goes through every block once a token.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/key_value_cache.h"
#include "model/model.h"

namespace halftone {

// Tokens of one sequence, and what attention keeps of those that were run.
struct CachedSequence {
  std::vector<int32_t> ids;
  std::vector<KeyValueCache> layers = {};

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
  int64_t cached() const { return layers.empty() ? 0 : layers.front().length(); }
};

class HeldModel {
 public:
  // The model must outlive it. step: told once a block, as it is loaded.
  HeldModel(const Model& model, const Execution& execution,
            const std::function<void(int64_t block)>& step = {});
  HeldModel(const HeldModel&) = delete;
  HeldModel& operator=(const HeldModel&) = delete;

  const Model& model() const { return model_; }

  // Runs the tokens of each sequence that were not run yet, one at least, all in one row. Returns
  // the logits behind each sequence's last token.   -> (sequences, vocab)
  at::Tensor next_logits(const std::vector<CachedSequence*>& sequences);

 private:
  // Rotary tables, as long as they were needed so far.
  struct Tables {
    int64_t length = 0;
    Positions positions = {};
  };
  // Of the tokens of a sequence that are not run yet.
  Positions positions_of(const CachedSequence& sequence);
  bool is_turned_anew(const CachedSequence& sequence) const;

  const Model& model_;
  Execution execution_;
  std::vector<Block> blocks_;
  Head head_;
  std::map<std::string, at::Tensor> embedding_;
  Tables tables_, beyond_;  // beyond_: past the original context, where its tables are others
};

}  // namespace halftone
