// AWQ checkpoints of the version "gemm" (AutoAWQ; formats.md 4.1): 4 bits with zero points, one
// grid for all linears, whatever method found the codes.
//
//   NAME.qweight  I32 [in, out/8]       a word: eight output columns of one input column
//   NAME.qzeros   I32 [groups, out/8]   the same of zero points, as they are
//   NAME.scales   F16 [groups, out]
#include <ATen/ATen.h>

#include <array>

#include "base/error.h"
#include "format/config_fields.h"
#include "format/detect.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/packed_folder.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"
#include "format/unquantized.h"

namespace halftone {
namespace {

constexpr int kBits = 4;
constexpr int64_t kLanes = 32 / kBits;  // of a word
constexpr int64_t kMostColumns = int64_t{1} << 31;
// Which of eight output columns each lane of a word holds, lowest bits first, and in which lane
// each column lies.
constexpr std::array<int64_t, kLanes> kColumnOfLane = {0, 2, 4, 6, 1, 3, 5, 7};
constexpr std::array<int64_t, kLanes> kLaneOfColumn = {0, 4, 1, 5, 2, 6, 3, 7};

// matrix: (rows, columns), columns in eights -> within every eight in another order
at::Tensor reordered(const at::Tensor& matrix, const std::array<int64_t, kLanes>& order) {
  const at::Tensor index = at::tensor(at::ArrayRef<int64_t>(order.data(), order.size()), at::kLong);
  return matrix.reshape({matrix.size(0), -1, kLanes})
      .index_select(2, index)
      .reshape(matrix.sizes());
}

// matrix: (rows, columns) uint8 -> (rows, columns / 8) int32
at::Tensor to_words(const at::Tensor& matrix) {
  return pack_rows(reordered(matrix, kColumnOfLane).contiguous(), kBits);
}
at::Tensor from_words(const at::Tensor& words) {
  return reordered(unpack_rows(words, words.size(1) * kLanes, kBits), kLaneOfColumn);
}

std::string linear_refusal(const LinearPlan& linear) {
  if (std::string why = plain_grid_refusal(linear); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (grid.bits != kBits) return fmt::format("{} bits; AWQ files hold 4", grid.bits);
  if (grid.group_index) return "groups in the order of quantization; AWQ has groups of neighbours";
  if (grid.group_size != 0 && linear.in % grid.group_size != 0)
    return fmt::format("{} input columns; AWQ needs a multiple of the group's {}", linear.in,
                       grid.group_size);
  if (linear.out % kLanes != 0)
    return fmt::format("{} rows; AWQ needs a multiple of {}", linear.out, kLanes);
  if (grid.scale_bits > significant_bits(at::kHalf))
    return fmt::format("scales of {} significant bits; float16 holds {}", grid.scale_bits,
                       significant_bits(at::kHalf));
  return "";
}

std::string refusal(const OutputPlan& plan) {
  if (std::string common = common_refusal(plan); !common.empty()) return common;
  for (const PlannedTensor& tensor : plan.others)
    if (tensor.grid)
      return fmt::format("{}: AWQ files quantize linears of blocks alone", tensor.name);
  for (const LinearPlan& linear : plan.linears) {
    if (linear.name == plan.head)
      return fmt::format("{}: AWQ files quantize linears of blocks alone", linear.name);
    if (const std::string why = linear_refusal(linear); !why.empty())
      return fmt::format("{}: {}", linear.name, why);
    if (linear.grid.group_size != plan.linears.front().grid.group_size)
      return fmt::format("{}: groups of {} columns, {} of {}; AWQ has one size for all",
                         linear.name, linear.grid.group_size, plan.linears.front().name,
                         plan.linears.front().grid.group_size);
  }
  return "";
}

class AwqWriter final : public FolderWriter {
 public:
  AwqWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& linear) override {
    const QuantizedLinear& quantized = linear.quantized;
    store(planned.name + ".qweight", to_words(quantized.codes.t()));
    store(planned.name + ".qzeros", to_words(quantized.zeros.t()));
    store(planned.name + ".scales", exact_scales(quantized.scales.t().contiguous(), at::kHalf));
    return linear.fingerprint;
  }
  nlohmann::json quantization_config() const override {
    const int64_t group_size = plan().linears.empty() ? 0 : plan().linears.front().grid.group_size;
    nlohmann::json config = {{"quant_method", "awq"},
                             {"bits", kBits},
                             {"group_size", group_size == 0 ? -1 : group_size},
                             {"zero_point", true},
                             {"version", "gemm"},
                             {"modules_to_not_convert", nullptr}};
    if (const auto plain = plain_linears(plan(), unquantized_matrices()); !plain.empty())
      config["modules_to_not_convert"] = plain;
    return config;
  }
};

// Columns of a group by the config, -1: the whole row. Errors: another version, or a grid that the
// version has not.
int64_t parse_group_size(const QuantizationConfig& found) {
  const ConfigFields fields(found.json, found.place);
  fields.require_one_of("version", {"gemm", "GEMM"});
  fields.integer("bits", kBits, kBits);
  require(fields.boolean_or("zero_point", true), "{}: zero_point: expected true, found false",
          fields.place());
  const int64_t group_size = fields.integer("group_size", -1, kMostColumns);
  require(group_size != 0, "{}: group_size: expected -1 or at least 1, found 0", fields.place());
  return group_size;
}

class AwqModel final : public PackedFolder {
 public:
  AwqModel(std::shared_ptr<const Checkpoint> checkpoint, int64_t group_size)
      : PackedFolder(std::move(checkpoint), {".qweight", ".qzeros", ".scales"}),
        group_size_(group_size) {
    check_linears();
  }
  std::string format() const override { return "awq"; }

 private:
  std::vector<int64_t> checked_shape(const std::string& name) const override {
    const Matrix weight = matrix_part(name, ".qweight", {"I32"});
    const int64_t in = weight.rows, out = weight.columns * kLanes;
    require(in % columns_of(in) == 0, "'.qweight': {} input columns are no whole groups of {}", in,
            columns_of(in));
    const int64_t groups = in / columns_of(in);
    check_part(name, ".qzeros", {"I32"}, {groups, weight.columns});
    check_part(name, ".scales", {"F16", "BF16", "F32"}, {groups, out});
    return {out, in};
  }

  QuantizedLinear unpack(const std::string& name) const override {
    const std::vector<int64_t> shape = checked_shape(name);
    const int64_t out = shape[0], in = shape[1], groups = in / columns_of(in);
    QuantizedLinear linear;
    linear.bits = kBits;
    linear.group_size = columns_of(in);
    linear.codes =
        from_words(load_part(name, ".qweight", {"I32"}, {in, out / kLanes})).t().contiguous();
    linear.zeros =
        from_words(load_part(name, ".qzeros", {"I32"}, {groups, out / kLanes})).t().contiguous();
    linear.scales = load_scales(name, ".scales", {groups, out}).t().contiguous();
    linear.symmetric = linear.zeros.eq(1 << (kBits - 1)).all().item<bool>();
    return linear;
  }

  int64_t columns_of(int64_t in) const { return group_size_ < 0 ? in : group_size_; }

  int64_t group_size_;
};

std::unique_ptr<ModelWriter> open_writer(const std::filesystem::path& folder,
                                         const OutputPlan& plan) {
  return std::make_unique<AwqWriter>(folder, plan);
}

std::unique_ptr<PackedModel> open_reader(std::shared_ptr<const Checkpoint> checkpoint) {
  const QuantizationConfig found = find_quantization(*checkpoint);
  if (quantization_method(found) != "awq") return nullptr;
  return std::make_unique<AwqModel>(std::move(checkpoint), parse_group_size(found));
}

}  // namespace

Format awq_format() {
  return {.name = "awq",
          .summary = "AutoAWQ's GEMM version: 4 bits in whole groups",
          .least_zero = 0,
          .fuses_linears = true,
          .refusal = refusal,
          .on_request = nullptr,
          .open_writer = open_writer,
          .scale_type = [](const OutputPlan&) { return at::kHalf; },
          .caution = nullptr,
          .open_reader = open_reader};
}

}  // namespace halftone
