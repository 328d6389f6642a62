// The reader of MLX's folders (formats.md 5.1): any, ours and mlx-lm's.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "format/detect.h"
#include "format/format.h"
#include "format/mlx_weights.h"

namespace halftone {

class MlxModel final : public PackedModel {
 public:
  MlxModel(std::shared_ptr<const Checkpoint> checkpoint, const QuantizationConfig& found);

  const nlohmann::json& config() const override { return checkpoint_->config(); }
  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override {
    return !parts_.contains(name) && checkpoint_->contains(name);
  }
  WeightInfo info(std::string_view name) const override;
  at::Tensor load(std::string_view name) const override;
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const override;
  void release(std::string_view name) const override;
  std::string format() const override { return "mlx"; }
  std::vector<std::string> linears() const override { return {}; }
  QuantizedLinear read_linear(const std::string& name) const override;  // always an error
  size_t linear_bytes(const std::string& name) const override;
  const ModelSource& source() const override { return *checkpoint_; }
  bool is_packed(std::string_view weight) const override { return find(weight) != nullptr; }
  std::string coarse_weights() const override;

 private:
  struct Packed {
    MlxGrid grid;
    int64_t out, in;
  };

  // Errors: parts that are missing, or do not fit the grid.
  Packed checked(const std::string& linear, const MlxGrid& grid) const;
  const Packed* find(std::string_view weight) const;
  // rows: of the words, or all of them where it is undefined
  at::Tensor weights_in(std::string_view weight, const Packed& packed,
                        const at::Tensor& rows) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::map<std::string, Packed, std::less<>> packed_;  // by the name of the weight
  std::set<std::string, std::less<>> parts_;           // scales and biases
};

}  // namespace halftone
