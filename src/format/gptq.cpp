// GPTQ checkpoints, v1 and v2 (AutoGPTQ, ModelCloud/GPTQModel; formats.md 4).
//
// The writer keeps to what every engine reads the same way: 3 bits only as v2, no zero of 0 in v1,
// g_idx always.
#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "format/config_fields.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/gptq_config.h"
#include "format/gptq_tensors.h"
#include "format/linear_check.h"
#include "format/packed_folder.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

// Bits of lanes and columns that fill whole 32-bit words.
constexpr int64_t kColumnStep = 32;
// v1 files store zero - 1, which most readers take back without wrapping (formats.md 4).
constexpr int kLeastZeroOfV1 = 1;

std::string linear_refusal(const LinearPlan& linear, bool v2) {
  if (std::string why = plain_grid_refusal(linear); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  const int bits = grid.bits;
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
    return fmt::format("{} bits; GPTQ files hold 2, 3, 4 or 8", bits);
  if (!v2 && bits == 3) return "3 bits; GPTQ v1 readers disagree on them, gptq_v2 holds them";
  if (!v2 && !grid.symmetric && grid.least_zero < kLeastZeroOfV1)
    return "asymmetric with zeros from 0; GPTQ v1 needs grid.zero_min = 1, gptq_v2 does not";
  if (linear.in % kColumnStep != 0)
    return fmt::format("{} input columns; GPTQ needs a multiple of {}", linear.in, kColumnStep);
  if (linear.out * bits % 32 != 0)
    return fmt::format("{} rows of {}-bit zeros do not fill 32-bit words", linear.out, bits);
  if (grid.scale_bits > significant_bits(at::kHalf))
    return fmt::format("scales of {} significant bits; float16 holds {}", grid.scale_bits,
                       significant_bits(at::kHalf));
  return "";
}

std::string refusal(const OutputPlan& plan, bool v2) {
  if (std::string common = common_refusal(plan); !common.empty()) return common;
  for (const LinearPlan& linear : plan.on_grids()) {
    if (linear.name == plan.embedding)
      return fmt::format("{}: an embedding; GPTQ files hold linears alone", linear.name);
    if (const std::string why = linear_refusal(linear, v2); !why.empty())
      return fmt::format("{}: {}", linear.name, why);
  }
  return "";
}

// GPTQModel 7.7 takes v1 zeros for damaged unless quantize_config.json says that it wrote them.
std::string caution_of_v1(const OutputPlan& plan) {
  const bool asymmetric = std::ranges::any_of(
      plan.on_grids(), [](const LinearPlan& linear) { return !linear.grid.symmetric; });
  return asymmetric ? "GPTQModel refuses asymmetric gptq folders of other tools: gptq_v2 or "
                      "grid.symmetric = true load there"
                    : "";
}

class GptqWriter final : public FolderWriter {
 public:
  GptqWriter(const std::filesystem::path& folder, const OutputPlan& plan, bool v2)
      : FolderWriter(folder, plan), v2_(v2) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& linear) override {
    const GptqTensors tensors = to_gptq(linear.quantized, v2_);
    store(planned.name + ".qweight", tensors.qweight);
    store(planned.name + ".qzeros", tensors.qzeros);
    store(planned.name + ".scales", tensors.scales);
    store(planned.name + ".g_idx", tensors.g_idx);
    return linear.fingerprint;
  }
  nlohmann::json quantization_config() const override {
    return make_gptq_config(plan(), unquantized_matrices(), v2_);
  }
  void write_files() const override { write_json("quantize_config.json", quantization_config()); }

  bool v2_;
};

class GptqModel final : public PackedFolder {
 public:
  GptqModel(std::shared_ptr<const Checkpoint> checkpoint, GptqConfig config)
      : PackedFolder(std::move(checkpoint), {".qweight", ".qzeros", ".scales", ".g_idx"}),
        config_(std::move(config)) {
    check_linears();
  }
  std::string format() const override { return config_.v2 ? "gptq_v2" : "gptq"; }
  std::vector<std::string> notes() const override {
    if (!repaired_) return {};
    return {"3-bit GPTQ v1 zeros with GPTQModel's swapped constants were read as 4"};
  }

 private:
  struct Shape {
    int bits;
    int64_t in, out, groups;
    std::vector<GptqGrid> grids;  // those of the config that fit, at least one
  };

  Shape shape_of(const std::string& name) const {
    const Matrix weight = matrix_part(name, ".qweight", {"I32"});
    const Matrix zeros = matrix_part(name, ".qzeros", {"I32"});
    Shape shape{.bits = 0, .in = 0, .out = weight.columns, .groups = zeros.rows, .grids = {}};
    for (const GptqGrid& grid : config_.allowed()) {
      if (shape.out * grid.bits != zeros.columns * 32 || weight.rows * 32 % grid.bits != 0)
        continue;
      const int64_t in = weight.rows * 32 / grid.bits;
      const int64_t columns = grid.group_size < 0 ? in : std::min(in, grid.group_size);
      if (group_count(in, columns) != shape.groups) continue;
      shape.bits = grid.bits, shape.in = in;
      shape.grids.push_back({grid.bits, columns, grid.symmetric});
    }
    require(
        !shape.grids.empty(),
        "'.qweight' of ({}, {}) and '.qzeros' of ({}, {}) do not fit the config's {} bits, group "
        "size {}",
        weight.rows, weight.columns, zeros.rows, zeros.columns, config_.grid.bits,
        config_.grid.group_size);
    return shape;
  }

  std::vector<int64_t> checked_shape(const std::string& name) const override {
    const Shape shape = shape_of(name);
    check_part(name, ".scales", {"F16", "BF16", "F32"}, {shape.groups, shape.out});
    const bool indexed = has_part(name, ".g_idx");
    if (indexed) check_part(name, ".g_idx", {"I32"}, {shape.in});
    require(indexed || !config_.dynamic_groups,
            "'.g_idx' is missing, yet the config says desc_act");
    return {shape.out, shape.in};
  }

  QuantizedLinear unpack(const std::string& name) const override {
    const Shape shape = shape_of(name);
    QuantizedLinear linear;
    linear.bits = shape.bits;
    linear.codes = unpack_rows(
        load_part(name, ".qweight", {"I32"}, {shape.in * shape.bits / 32, shape.out}).t(), shape.in,
        shape.bits);
    linear.scales = load_scales(name, ".scales", {shape.groups, shape.out}).t().contiguous();
    read_zeros(name, shape, linear);
    read_groups(name, shape, linear);
    return linear;
  }

  void read_zeros(const std::string& name, const Shape& shape, QuantizedLinear& linear) const {
    const at::Tensor stored =
        load_part(name, ".qzeros", {"I32"}, {shape.groups, shape.out * shape.bits / 32});
    const bool may_be_symmetric = std::any_of(shape.grids.begin(), shape.grids.end(),
                                              [](const auto& grid) { return grid.symmetric; });
    const bool must_be_symmetric = std::all_of(shape.grids.begin(), shape.grids.end(),
                                               [](const auto& grid) { return grid.symmetric; });
    bool repaired = false;
    const at::Tensor zeros =
        config_.v2 ? unpack_rows(stored, shape.out, shape.bits)
                   : zeros_of_v1(stored, shape.out, shape.bits, may_be_symmetric, repaired);
    if (repaired) repaired_ = true;
    linear.zeros = zeros.t().contiguous();
    const bool all_middle = zeros.eq(1 << (shape.bits - 1)).all().item<bool>();
    require(all_middle || !must_be_symmetric,
            "'.qzeros': the config says sym, yet not all zeros are {}", 1 << (shape.bits - 1));
    linear.symmetric = all_middle && may_be_symmetric;
  }

  void read_groups(const std::string& name, const Shape& shape, QuantizedLinear& linear) const {
    linear.group_size = shape.grids.front().group_size;
    if (!has_part(name, ".g_idx")) {
      for (const GptqGrid& grid : shape.grids)
        require(grid.group_size == linear.group_size,
                "'.g_idx' is missing: groups of {} or of {} columns?", linear.group_size,
                grid.group_size);
      return;
    }
    const at::Tensor index = load_part(name, ".g_idx", {"I32"}, {shape.in});
    for (const GptqGrid& grid : shape.grids) {
      linear.group_of_column = simplified_group_index(index, grid.group_size, shape.groups);
      linear.group_size = grid.group_size;
      if (!linear.group_of_column.defined()) return;
    }
    require(config_.dynamic_groups,
            "'.g_idx' is not column / group size, yet the config says desc_act false");
    linear.group_size = shape.grids.front().group_size;
  }

  GptqConfig config_;
  mutable std::atomic<bool> repaired_ = false;
};

std::unique_ptr<PackedModel> open_version(std::shared_ptr<const Checkpoint> checkpoint, bool v2) {
  const QuantizationConfig found = find_quantization(*checkpoint);
  if (quantization_method(found) != "gptq") return nullptr;
  GptqConfig config = parse_gptq_config(found);
  if (config.v2 != v2) return nullptr;
  return std::make_unique<GptqModel>(std::move(checkpoint), std::move(config));
}

template <bool v2>
Format entry(std::string name, std::string summary) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .least_zero = v2 ? 0 : kLeastZeroOfV1,
          .fuses_linears = true,
          .refusal = [](const OutputPlan& plan) { return refusal(plan, v2); },
          .on_request = nullptr,
          .open_writer = [](const std::filesystem::path& folder,
                            const OutputPlan& plan) -> std::unique_ptr<ModelWriter> {
            return std::make_unique<GptqWriter>(folder, plan, v2);
          },
          .scale_type = [](const OutputPlan&) { return at::kHalf; },
          .caution = v2 ? nullptr : caution_of_v1,
          .open_reader =
              [](std::shared_ptr<const Checkpoint> checkpoint) {
                return open_version(std::move(checkpoint), v2);
              }};
}

}  // namespace

Format gptq_format() {
  return entry<false>("gptq", "AutoGPTQ, GPTQModel: 2, 4, 8 bits");
}
Format gptq_v2_format() {
  return entry<true>("gptq_v2", "GPTQModel's second version: 2, 3, 4, 8 bits, zeros as they are");
}

}  // namespace halftone
