// dense: an ordinary model folder of de-quantized weights, for engines that know no quantization.
//
// The float32 weights are rounded once to the model's type, so this is the only format whose files
// do not hold the grid itself. Weights that read online rotated inputs are rotated back before: any
// engine computes the same function. A plain folder, ours or anyone's, is read by the same reader.
#include <ATen/ATen.h>

#include "base/error.h"
#include "format/detect.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/plain_model.h"
#include "format/stored_numbers.h"
#include "format/verify.h"

namespace halftone {
namespace {

class DenseWriter final : public FolderWriter {
 public:
  DenseWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan, {}, /*join_experts=*/true) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& linear) override {
    at::Tensor weight =  // (out, in)
        linear.weights.defined() ? linear.weights : dequantize(linear.quantized);
    if (planned.reads_rotated) weight = plan().online->undo(weight);
    weight = weight.to(plan().dtype);
    require(weight.isfinite().all().item<bool>(), "a weight is too large for {}",
            stored_name(plan().dtype));
    store(planned.name + ".weight", weight);
    return weight_fingerprint(weight);
  }
  nlohmann::json quantization_config() const override { return nullptr; }
};

class PlainModel final : public PackedModel {
 public:
  explicit PlainModel(std::shared_ptr<const ModelSource> source) : source_(std::move(source)) {}

  const nlohmann::json& config() const override { return source_->config(); }
  std::vector<std::string> names() const override { return source_->names(); }
  bool contains(std::string_view name) const override { return source_->contains(name); }
  WeightInfo info(std::string_view name) const override { return source_->info(name); }
  at::Tensor load(std::string_view name) const override { return source_->load(name); }
  void release(std::string_view name) const override { source_->release(name); }
  std::string format() const override { return "dense"; }
  std::vector<std::string> linears() const override { return {}; }
  QuantizedLinear read_linear(const std::string& name) const override { refuse(name); }
  size_t linear_bytes(const std::string& name) const override {
    return source_->stored_info(name + ".weight").bytes;
  }
  const ModelSource& source() const override { return *source_; }

 private:
  [[noreturn]] void refuse(const std::string& name) const {
    fail("{}: {}: not quantized", source_->path().string(), printable(name));
  }
  std::shared_ptr<const ModelSource> source_;
};

bool always(const OutputPlan&) {
  return true;
}

std::unique_ptr<ModelWriter> open_writer(const std::filesystem::path& folder,
                                         const OutputPlan& plan) {
  return std::make_unique<DenseWriter>(folder, plan);
}

std::unique_ptr<PackedModel> open_reader(std::shared_ptr<const Checkpoint> checkpoint) {
  if (!quantization_method(find_quantization(*checkpoint)).empty()) return nullptr;
  return plain_model(std::move(checkpoint));
}

}  // namespace

std::unique_ptr<PackedModel> plain_model(std::shared_ptr<const ModelSource> source) {
  return std::make_unique<PlainModel>(std::move(source));
}

Format dense_format() {
  return {.name = "dense",
          .summary = "an ordinary folder of de-quantized weights in the model's type",
          .least_zero = 0,
          .refusal = common_refusal,
          .on_request = always,
          .open_writer = open_writer,
          .scale_type = [](const OutputPlan&) { return at::kFloat; },
          .caution = nullptr,
          .open_reader = open_reader};
}

}  // namespace halftone
