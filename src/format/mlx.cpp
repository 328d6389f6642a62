// mlx: folders of MLX's affine quantization (mlx-lm, LM Studio; formats.md 5.1).
//
//   NAME.weight  U32 [out, in*b/32]     LE(b) along the input
//   NAME.scales  F16, BF16 or F32 [out, groups]
//   NAME.biases  the same type [out, groups]
//
// A weight is scale * code, rounded to that type, plus its bias, rounded again: no grid of ours,
// whose zeros are whole numbers of scales. So a written folder holds the rounded weights, as a
// dense one does, and a model in one has no linears().
#include <ATen/ATen.h>

#include "checkpoint/stored_layout.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/mlx_model.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"
#include "format/unquantized.h"
#include "format/verify.h"

namespace halftone {
namespace {

std::string linear_refusal(const LinearPlan& linear) {
  if (std::string why = plain_grid_refusal(linear); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (!mlx_has_bits(grid.bits))
    return fmt::format("{} bits; MLX has 2, 3, 4, 5, 6 or 8", grid.bits);
  if (!mlx_has_group_size(grid.group_size))
    return fmt::format("groups of {} columns; MLX has 32, 64 or 128", grid.group_size);
  if (grid.group_index) return "groups in the order of quantization; MLX has groups of neighbours";
  if (linear.in % grid.group_size != 0)
    return fmt::format("{} input columns; MLX needs a multiple of the group's {}", linear.in,
                       grid.group_size);
  return "";
}

std::string refusal(const OutputPlan& plan) {
  if (std::string common = common_refusal(plan); !common.empty()) return common;
  const nlohmann::json& config =
      plan.config.is_null() && plan.source ? plan.source->config() : plan.config;
  for (const LinearPlan& linear : plan.on_grids()) {
    if (is_expert(linear.name))
      return fmt::format(
          "{}: MLX holds the experts of a block as one tensor, which is not written yet",
          linear.name);
    if (is_turned(stored_layout(config), linear.name + ".weight"))
      return fmt::format(
          "{}: stored as (in, out) in this model's folders, of which MLX quantizes none",
          linear.name);
    if (const std::string why = linear_refusal(linear); !why.empty())
      return fmt::format("{}: {}", linear.name, why);
    if (linear.grid.scale_bits > significant_bits(plan.dtype))
      return fmt::format("{}: scales of {} significant bits; the model's type holds {}",
                         linear.name, linear.grid.scale_bits, significant_bits(plan.dtype));
  }
  return "";
}

class MlxWriter final : public FolderWriter {
 public:
  MlxWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan, {{"format", "mlx"}}) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& linear) override {
    const QuantizedLinear& quantized = linear.quantized;
    const at::Tensor scales = exact_scales(quantized.scales, plan().dtype);
    const at::Tensor biases = (quantized.scales * quantized.zeros).neg_().to(plan().dtype);
    store(planned.name + std::string(kMlxCodes),
          pack_rows(quantized.codes, quantized.bits).view(at::kUInt32));
    store(planned.name + std::string(kMlxScales), scales);
    store(planned.name + std::string(kMlxBiases), biases);
    return weight_fingerprint(planned.out, planned.in, [&](int64_t begin, int64_t count) {
      return mlx_weights(quantized.codes.narrow(0, begin, count), scales.narrow(0, begin, count),
                         biases.narrow(0, begin, count))
          .to(at::kFloat);
    });
  }

  nlohmann::json quantization_config() const override {
    const std::vector<LinearPlan> linears = plan().on_grids();
    if (linears.empty()) return nullptr;
    const auto grid_of = [](const LinearPlan& linear) -> nlohmann::json {
      return {{"group_size", linear.grid.group_size}, {"bits", linear.grid.bits}};
    };
    const nlohmann::json common = grid_of(linears.front());
    nlohmann::json config = common;
    config["mode"] = "affine";
    for (const LinearPlan& linear : linears)
      if (nlohmann::json own = grid_of(linear); own != common) config[linear.name] = std::move(own);
    return config;
  }
  // mlx-lm looks for the first, and writes both.
  std::vector<std::string> quantization_keys() const override {
    return {"quantization", "quantization_config"};
  }
};

std::unique_ptr<ModelWriter> open_writer(const std::filesystem::path& folder,
                                         const OutputPlan& plan) {
  return std::make_unique<MlxWriter>(folder, plan);
}

// MLX's configs name no method.
std::unique_ptr<PackedModel> open_reader(std::shared_ptr<const Checkpoint> checkpoint) {
  const QuantizationConfig found = find_quantization(*checkpoint);
  if (found.json.is_null() || found.json.contains("quant_method") || !found.json.contains("bits") ||
      !found.json.contains("group_size"))
    return nullptr;
  return std::make_unique<MlxModel>(std::move(checkpoint), found);
}

}  // namespace

Format mlx_format() {
  return {.name = "mlx",
          .summary = "Apple's MLX: 2, 3, 4, 5, 6, 8 bits in groups of 32, 64 or 128",
          .least_zero = 0,
          .refusal = refusal,
          .on_request = [](const OutputPlan&) { return true; },
          .open_writer = open_writer,
          .scale_type = [](const OutputPlan& plan) { return plan.dtype; },
          .caution = nullptr,
          .open_reader = open_reader};
}

}  // namespace halftone
