// gguf: a file that llama.cpp and what is built on it read (formats.md 12). Written from uniform
// grids (gguf_output.h). Anyone's is read, and the blocks of most types are no grids of ours: a
// model in it has no linears() and hands out de-quantized weights.
#include <map>
#include <memory>

#include "base/error.h"
#include "checkpoint/gguf_model.h"
#include "format/coarse_weights.h"
#include "format/format_entries.h"
#include "format/gguf_output.h"

namespace halftone {
namespace {

class GgufPacked final : public PackedModel {
 public:
  explicit GgufPacked(const std::filesystem::path& path) : model_(path) {}

  const nlohmann::json& config() const override { return model_.config(); }
  std::vector<std::string> names() const override { return model_.names(); }
  bool contains(std::string_view name) const override { return model_.contains(name); }
  WeightInfo info(std::string_view name) const override { return model_.info(name); }
  at::Tensor load(std::string_view name) const override { return model_.load(name); }
  at::Tensor load_rows(std::string_view name, const at::Tensor& index) const override {
    return model_.load_rows(name, index);
  }
  void release(std::string_view name) const override { model_.release(name); }
  std::string format() const override { return "gguf"; }
  std::vector<std::string> linears() const override { return {}; }
  QuantizedLinear read_linear(const std::string& name) const override { refuse(name); }
  size_t linear_bytes(const std::string& name) const override {
    return model_.stored_info(name + ".weight").bytes;
  }
  const ModelSource& source() const override { return model_; }
  bool is_packed(std::string_view weight) const override {
    return model_.stored(weight).type->is_block();
  }
  std::string coarse_weights() const override;

 private:
  [[noreturn]] void refuse(const std::string& name) const {
    fail("{}: {}: blocks of a GGUF file are no grid of ours", model_.path().string(),
         printable(name));
  }
  GgufModel model_;
};

std::string GgufPacked::coarse_weights() const {
  std::map<std::string, int> counts;
  for (const std::string& name : model_.names()) {
    const GgufTensor& tensor = model_.stored(name);
    if (tensor.type->is_block() && tensor.type->bits_per_weight() < kFineBits)
      counts[std::string(tensor.type->name)] += 1;
  }
  return coarse_text(counts);
}

std::unique_ptr<PackedModel> open_file(const std::filesystem::path& file) {
  if (!is_gguf(file)) return nullptr;
  return std::make_unique<GgufPacked>(file);
}

}  // namespace

Format gguf_format() {
  return {.name = "gguf",
          .summary =
              "a file for llama.cpp: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_0, Q2_K to Q6_K, IQ2_XXS to "
              "IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, Q1_0, MXFP4, NVFP4",
          .kind = PendingOutput::Kind::kFile,
          .least_zero = 0,
          .refusal = gguf_refusal,
          .on_request = [](const OutputPlan&) { return true; },
          .open_writer = open_gguf_writer,
          .scale_type = [](const OutputPlan&) { return at::kHalf; },
          .caution = nullptr,
          .open_reader = [](std::shared_ptr<const Checkpoint>) -> std::unique_ptr<PackedModel> {
            return nullptr;
          },
          .open_file = open_file};
}

}  // namespace halftone
