// The demo model (examples/stories260K), as it is and changed, and windows to score it on.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "evaluate/score.h"
#include "support/fixtures.h"

namespace halftone::testing {

inline std::shared_ptr<const Checkpoint> demo_checkpoint() {
  return std::make_shared<const Checkpoint>(std::filesystem::path(HALFTONE_SOURCE_DIR) /
                                            "examples/stories260K");
}

inline Model open_demo() {
  return Model(demo_checkpoint());
}

inline TokenWindows golden_windows() {
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  const at::Tensor ids = golden.view(*golden.find("ids")).contiguous();
  const auto* data = ids.data_ptr<int32_t>();
  return {2, 256, std::vector<TokenId>(data, data + ids.numel())};
}

// The weights of another source, the named tensor scaled.
class Scaled final : public WeightSource {
 public:
  Scaled(std::shared_ptr<const Checkpoint> source, std::string name, double factor)
      : source_(std::move(source)), name_(std::move(name)), factor_(factor) {}
  const nlohmann::json& config() const override { return source_->config(); }
  std::vector<std::string> names() const override { return source_->names(); }
  bool contains(std::string_view name) const override { return source_->contains(name); }
  WeightInfo info(std::string_view name) const override { return source_->info(name); }
  at::Tensor load(std::string_view name) const override {
    return name == name_ ? source_->load(name) * factor_ : source_->load(name);
  }
  void release(std::string_view) const override {}

 private:
  std::shared_ptr<const Checkpoint> source_;
  std::string name_;
  double factor_;
};

inline Model open_scaled_demo(const std::string& name, double factor) {
  return Model(std::make_shared<Scaled>(demo_checkpoint(), name, factor));
}

// Its logits are 0.9 of the demo model's.
inline Model open_softened_demo() {
  return open_scaled_demo("model.norm.weight", 0.9);
}

}  // namespace halftone::testing
