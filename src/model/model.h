// A network over named weights, run block by block. Weights stay where they are until a block asks
// for them.
#pragma once

#include <ATen/core/Tensor.h>

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
  int stage = 0;
  bool reads_rotated = false;  // its input is rotated as the model runs
};

class Model {
 public:
  // stored_names: everything the files hold, to find what this family does not know (a tensor that
  // would be silently left out). Errors: unsupported architecture or option; a tensor that is
  // missing, unknown or of the wrong shape or dtype.
  Model(std::shared_ptr<const WeightSource> source, const std::vector<std::string>& stored_names);

  const ModelConfig& config() const { return config_; }
  const Family& family() const { return *family_; }
  // What product writers read is multiplied by it; null without an online rotation.
  const KroneckerMatrix* online() const { return online_ ? &*online_ : nullptr; }
  int64_t parameters() const;    // tied ones once
  at::ScalarType dtype() const;  // of the stored embedding

  // The linears of every block, in the order in which they are quantized.
  std::vector<LinearSlot> linears() const;
  std::vector<LinearSlot> linears_of_block(int64_t index) const;
  // Names of all tensors that are not weights of linears(), in table order.
  std::vector<std::string> other_tensors() const;

  // A block's weights converted to execution's dtype and device. rope: of at least the length that
  // will be run.
  Block load_block(int64_t index, const Execution& execution, const RopeTable& rope) const;
  at::Tensor embedding() const;  // (vocab, hidden), as the source hands it out
  // table: embedding(); ids: (batch, length) int32 or int64, on the CPU -> (batch, length, hidden)
  static at::Tensor embed(const at::Tensor& table, const at::Tensor& ids,
                          const Execution& execution);
  at::Tensor final_norm(const at::Tensor& hidden, const Execution& execution) const;
  at::Tensor head(const Execution& execution) const;  // (vocab, hidden)

  // All stages of a block, one after another.
  void run_block(const Block& block, BlockState& state) const;

 private:
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape,
                  const Execution& execution) const;
  std::string block_prefix(int64_t index) const;
  void check_tensors(const std::vector<std::string>& stored_names) const;

  std::shared_ptr<const WeightSource> source_;
  const Family* family_;
  ModelConfig config_;
  std::optional<KroneckerMatrix> online_;
};

}  // namespace halftone
