// A network over named weights, run block by block. Weights stay where they are until a block asks
// for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/weight_source.h"
#include "model/compute.h"
#include "model/family.h"

namespace halftone {

// One linear that can be quantized.
struct LinearSlot {
  std::string name;      // "model.layers.3.mlp.up_proj", without ".weight"
  std::string relative;  // "mlp.up_proj"
  int64_t out = 0, in = 0;
  size_t index = 0;  // in its block: of Block::linears
  int stage = 0;
  size_t input = 0;  // of the stage's inputs
  int expert = -1;   // of a mixture; -1: every token reaches it
  bool has_bias = false;
  bool reads_rotated = false;  // its input is rotated as the model runs
};

class Model {
 public:
  // Errors: unsupported architecture or option; a tensor that is missing, unknown (it would be left
  // out silently) or of the wrong shape or dtype.
  explicit Model(std::shared_ptr<const WeightSource> source);

  // As config.json says it and the stored tensors add to it (model/stored_tensors.h).
  const ModelConfig& config() const { return config_; }
  const Family& family() const { return *family_; }
  // What product writers read is multiplied by it; null without an online rotation.
  const KroneckerMatrix* online() const { return online_ ? &*online_ : nullptr; }
  int64_t parameters() const;    // tied ones once
  at::ScalarType dtype() const;  // of the stored embedding

  // The linears of every block, in the order in which they are quantized; of one; of its stage.
  const std::vector<LinearSlot>& linears() const { return slots_; }
  std::span<const LinearSlot> linears_of_block(int64_t index) const;
  std::span<const LinearSlot> linears_of_stage(int64_t index, int stage) const;
  // Names of all tensors that are not weights of linears(), in table order.
  std::vector<std::string> other_tensors() const;

  Positions positions(int64_t length, const Execution& execution) const;
  // A block's weights converted to execution's dtype and device. positions: of at least the length
  // that will be run; they outlive the block, as the model does.
  Block load_block(int64_t index, const Execution& execution, const Positions& positions) const;
  Head load_head(const Execution& execution) const;
  // The same without the weight of its linear: what stands before that.
  Head load_head_tensors(const Execution& execution) const;

  // All that tokens are embedded by, by name.   tied: the head's weight, which is taken where it is
  // the embedding, too
  std::map<std::string, at::Tensor> load_embedding(const Execution& execution,
                                                   const at::Tensor& tied) const;

  // items: ids (batch, length) int32 or int64, or patches as Family::embed takes them, on the CPU
  // -> (batch, length, hidden)
  at::Tensor embed(const at::Tensor& items, const Execution& execution) const;
  // The same by rows that are somewhere else, of tokens at `positions`, (length) int64.
  at::Tensor embed(const at::Tensor& items, const RowLookup& rows,
                   const at::Tensor& positions) const {
    return family_->embed(config_, rows, items, positions);
  }
  std::vector<StageInput> inputs(const Block& block, int stage, const BlockState& state) const {
    return family_->inputs(block, stage, state);
  }
  // Applies the stage's linears to its inputs and moves the state on to the next stage. Returns
  // what the linears gave, shaped as their inputs.
  std::vector<at::Tensor> advance(const Block& block, int stage,
                                  const std::vector<StageInput>& inputs, BlockState& state) const;
  // All stages of a block, one after another.
  void run_block(const Block& block, BlockState& state) const;
  // What the head's linear reads.   hidden: (..., hidden), what the last block gave
  at::Tensor head_input(const Head& head, const at::Tensor& hidden) const {
    return family_->head_input(config_, head, hidden);
  }
  // hidden: (..., hidden), what the last block gave, of a classifier at its class tokens (...,
  // class tokens, hidden) -> (..., vocab)
  at::Tensor logits(const Head& head, const at::Tensor& hidden) const {
    return family_->logits(config_, head, hidden);
  }

 private:
  void make_slots();
  Linear load_linear(const LinearSlot& slot, const Execution& execution) const;
  at::Tensor load(const std::string& name, const Execution& execution) const;
  std::string block_prefix(int64_t index) const;
  bool is_embedding(const std::string& name) const;  // read where tokens are embedded

  std::shared_ptr<const WeightSource> source_;
  const Family* family_;
  ModelConfig config_;
  std::optional<KroneckerMatrix> online_;
  std::vector<LinearSlot> slots_;
  std::vector<size_t> first_slot_;  // of each block, and one past the last
};

}  // namespace halftone
