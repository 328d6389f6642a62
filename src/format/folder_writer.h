// What every writer of a Hugging Face folder shares: the checks against the plan, the shards,
// config.json, companions, halftone.json. A format says how one linear is stored and what its
// config holds.
#pragma once

#include <set>

#include "checkpoint/fused_experts.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/stored_layout.h"
#include "format/format.h"
#include "format/written_linears.h"

namespace halftone {

class FolderWriter : public ModelWriter {
 public:
  void add_linear(const FinishedLinear& linear) final;
  void add_tensor(const std::string& name, const at::Tensor& tensor) final;
  void add_rows(const std::string& name, const at::Tensor& matrix,
                const QuantizeRows& quantize) final;
  void finish(const nlohmann::json& report) final;
  const std::map<std::string, std::string>& fingerprints() const final {
    return written_.fingerprints();
  }

 protected:
  // metadata: what the safetensors files say besides "format", which is "pt" unless it is there.
  // Experts of a layer that folders of the architecture hold in one tensor are put into one where
  // they `join_experts`, which waits in memory for its last part.
  FolderWriter(std::filesystem::path folder, const OutputPlan& plan,
               std::map<std::string, std::string> metadata = {}, bool join_experts = false);

  // Stores the tensors of one linear that is as planned; of a matrix that came by rows `weights` is
  // undefined. Returns the fingerprint of the weights that they give back.
  virtual std::string pack(const LinearPlan& planned, const FinishedLinear& linear) = 0;
  // What config.json says of the quantization, null: nothing, and under which keys; `write_files`
  // may put more files into the folder.
  virtual nlohmann::json quantization_config() const = 0;
  virtual std::vector<std::string> quantization_keys() const { return {"quantization_config"}; }
  virtual void write_files() const {}

  // In the layout of the model's architecture.
  void store(const std::string& name, const at::Tensor& tensor);
  void write_json(const std::string& file, const nlohmann::json& content) const;
  const OutputPlan& plan() const { return plan_; }
  // Names (without ".weight") of the matrices that were added unchanged, sorted: layers that stay
  // as they were.
  const std::set<std::string>& unquantized_matrices() const { return unquantized_matrices_; }

 private:
  std::filesystem::path folder_;
  OutputPlan plan_;
  const StoredLayout& layout_;
  std::optional<ExpertJoiner> joiner_;
  WrittenLinears written_;
  std::set<std::string> unquantized_matrices_;
  ShardedWriter shards_;
};

}  // namespace halftone
