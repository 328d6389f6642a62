// compressed-tensors, format "pack-quantized" (vLLM, llm-compressor; formats.md 5).
//
//   weight_packed      I32 [out, ceil(in*b/32)]        LE(b) along the input, rows in order
//   weight_scale       model's type [out, groups]
//   weight_zero_point  I32 [ceil(out*b/32), groups]    LE(b) along the output; asymmetric only
//   weight_shape       I64 [2]                         [out, in]
//   weight_g_idx       I32 [in]                        read only: actorder "group" of older files
//
// 3, 5, 6 and 7 bits are packed densely, say so in the metadata, and are written only when asked
// for: libraries before 0.19 unpack them into wrong codes without an error.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "format/bit_stream.h"
#include "format/compressed_config.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/packed_folder.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"

namespace halftone {
namespace {

bool same_words_everywhere(int bits) {
  return 32 % bits == 0;
}

bool any_dense(const OutputPlan& plan) {
  return std::ranges::any_of(plan.on_grids(), [](const LinearPlan& linear) {
    return !same_words_everywhere(linear.grid.bits);
  });
}

std::string linear_refusal(const LinearPlan& linear, at::ScalarType dtype) {
  if (std::string why = plain_grid_refusal(linear); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (grid.bits < 2 || grid.bits > 8)
    return fmt::format("{} bits; compressed-tensors holds 2 .. 8", grid.bits);
  if (grid.group_index)
    return "groups in the order of quantization; compressed-tensors holds static groups only";
  if (linear.in % grid.columns_per_group(linear.in) != 0)
    return fmt::format("{} columns are no multiple of the group size {}", linear.in,
                       grid.group_size);
  if (grid.scale_bits > significant_bits(dtype))
    return fmt::format("scales of {} significant bits; the model's type {} holds {}",
                       grid.scale_bits, stored_name(dtype), significant_bits(dtype));
  return "";
}

std::string refusal(const OutputPlan& plan) {
  if (std::string common = common_refusal(plan); !common.empty()) return common;
  for (const LinearPlan& linear : plan.on_grids())
    if (const std::string why = linear_refusal(linear, plan.dtype); !why.empty())
      return fmt::format("{}: {}", linear.name, why);
  return "";
}

std::map<std::string, std::string> metadata_of(const OutputPlan& plan) {
  if (!any_dense(plan)) return {};
  return {{kPackingKey, "dense"}};
}

class CompressedWriter final : public FolderWriter {
 public:
  CompressedWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan, metadata_of(plan)) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& finished) override {
    const std::string& name = planned.name;
    const QuantizedLinear& linear = finished.quantized;
    store(name + ".weight_packed", pack_rows(linear.codes, linear.bits));
    store(name + ".weight_scale", exact_scales(linear.scales, plan().dtype));
    store(name + ".weight_shape", at::tensor({linear.out(), linear.in()}, at::kLong));
    if (!linear.symmetric)
      store(name + ".weight_zero_point",
            pack_rows(linear.zeros.t().contiguous(), linear.bits).t().contiguous());
    return finished.fingerprint;
  }
  nlohmann::json quantization_config() const override {
    return make_compressed_config(plan(), unquantized_matrices());
  }
};

class CompressedModel final : public PackedFolder {
 public:
  CompressedModel(std::shared_ptr<const Checkpoint> checkpoint, CompressedConfig config)
      : PackedFolder(std::move(checkpoint),
                     {".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape",
                      ".weight_g_idx"}),
        config_(std::move(config)) {
    check_linears();
  }
  std::string format() const override { return "compressed-tensors"; }

 private:
  struct Shape {
    int64_t out, in;
    CompressedGrid grid;
    CompressedPacking packing;

    int64_t groups() const { return grid.group_size == 0 ? 1 : in / grid.group_size; }
    int64_t words(int64_t codes) const {
      return packing == CompressedPacking::kDense ? stream_words(codes, grid.bits)
                                                  : padded_words(codes, grid.bits);
    }
    // Both packings put every code in the same place.
    bool packings_agree() const {
      const int64_t in_word = 32 / grid.bits;
      return same_words_everywhere(grid.bits) ||
             (in <= in_word && (grid.symmetric || out <= in_word));
    }
  };

  // [out, in] as stored, checked against the words of a row.
  Shape stored_shape(const std::string& name) const {
    const Matrix packed = matrix_part(name, ".weight_packed", {"I32"});
    const at::Tensor stored = load_part(name, ".weight_shape", {"I64"}, {2});
    const int64_t out = stored[0].item<int64_t>(), in = stored[1].item<int64_t>();
    require(out == packed.rows && in >= 1 && in <= packed.columns * 16,
            "'.weight_shape': ({}, {}) is not that of '.weight_packed' ({}, {})", out, in,
            packed.rows, packed.columns);
    return {.out = out, .in = in, .grid = {}, .packing = CompressedPacking::kDense};
  }

  bool fits(const std::string& name, const Shape& shape) const {
    const Matrix packed = matrix_part(name, ".weight_packed", {"I32"});
    const Matrix scales = matrix_part(name, ".weight_scale", {"F16", "BF16", "F32"});
    if (has_part(name, ".weight_zero_point") == shape.grid.symmetric) return false;
    if (shape.grid.group_size > 0 && shape.in % shape.grid.group_size != 0) return false;
    if (packed.columns != shape.words(shape.in)) return false;
    if (scales.rows != shape.out || scales.columns != shape.groups()) return false;
    if (shape.grid.symmetric) return true;
    const Matrix zeros = matrix_part(name, ".weight_zero_point", {"I32"});
    return zeros.rows == shape.words(shape.out) && zeros.columns == shape.groups();
  }

  Shape shape_of(const std::string& name) const {
    std::vector<Shape> fitting;
    Shape shape = stored_shape(name);
    for (const CompressedGrid& grid : config_.allowed(name))
      for (const auto packing : {CompressedPacking::kDense, CompressedPacking::kPadded}) {
        shape.grid = grid, shape.packing = packing;
        if (packing == CompressedPacking::kPadded && shape.packings_agree()) continue;
        if (fits(name, shape)) fitting.push_back(shape);
      }
    require(!fitting.empty(),
            "shapes of '.weight_packed', '.weight_scale' and '.weight_zero_point' fit none of the "
            "config's groups for ({}, {})",
            shape.out, shape.in);
    return fitting.size() == 1 ? fitting.front() : decided_by_version(fitting);
  }

  Shape decided_by_version(const std::vector<Shape>& fitting) const {
    for (const Shape& shape : fitting)
      require(shape.grid == fitting.front().grid, "fits several groups of the config");
    for (const Shape& shape : fitting)
      if (config_.packing && shape.packing == *config_.packing) return shape;
    fail(
        "{}-bit codes of {} columns are as long packed densely (compressed-tensors 0.19) as padded "
        "(0.17), and the config names no version",
        fitting.front().grid.bits, fitting.front().in);
  }

  std::vector<int64_t> checked_shape(const std::string& name) const override {
    const Shape shape = shape_of(name);
    if (has_part(name, ".weight_g_idx")) check_part(name, ".weight_g_idx", {"I32"}, {shape.in});
    return {shape.out, shape.in};
  }

  // packed: (rows, shape.words(n)) int32 -> (rows, n) uint8
  static at::Tensor unpack_words(const at::Tensor& packed, int64_t n, const Shape& shape) {
    return shape.packing == CompressedPacking::kDense
               ? unpack_rows(packed, n, shape.grid.bits)
               : unpack_padded_rows(packed, n, shape.grid.bits);
  }

  QuantizedLinear unpack(const std::string& name) const override {
    const Shape shape = shape_of(name);
    return unpack(name, shape, packed_codes(name, shape));
  }

  std::optional<QuantizedLinear> unpack_rows_of(const std::string& name,
                                                const at::Tensor& index) const override {
    const Shape shape = shape_of(name);
    QuantizedLinear rows = unpack(name, shape, packed_codes(name, shape).index_select(0, index));
    rows.scales = rows.scales.index_select(0, index);
    rows.zeros = rows.zeros.index_select(0, index);
    return rows;
  }

  at::Tensor packed_codes(const std::string& name, const Shape& shape) const {
    return load_part(name, ".weight_packed", {"I32"}, {shape.out, shape.words(shape.in)});
  }

  // packed: all rows of codes, or some
  QuantizedLinear unpack(const std::string& name, const Shape& shape,
                         const at::Tensor& packed) const {
    const int64_t out = shape.out, in = shape.in, groups = shape.groups();
    QuantizedLinear linear;
    linear.bits = shape.grid.bits;
    linear.group_size = shape.grid.group_size == 0 ? in : shape.grid.group_size;
    linear.symmetric = shape.grid.symmetric;
    linear.codes = unpack_words(packed, in, shape);
    linear.scales = load_scales(name, ".weight_scale", {out, groups});
    linear.zeros = read_zeros(name, shape);
    linear.group_of_column = read_groups(name, shape, linear.group_size);
    return linear;
  }

  // -> (out, groups) uint8
  at::Tensor read_zeros(const std::string& name, const Shape& shape) const {
    if (shape.grid.symmetric)
      return at::full({shape.out, shape.groups()}, 1 << (shape.grid.bits - 1), at::kByte);
    const at::Tensor stored =
        load_part(name, ".weight_zero_point", {"I32"}, {shape.words(shape.out), shape.groups()});
    return unpack_words(stored.t(), shape.out, shape).t().contiguous();
  }

  // -> (in) int32, or undefined
  at::Tensor read_groups(const std::string& name, const Shape& shape, int64_t group_size) const {
    if (!has_part(name, ".weight_g_idx")) return {};
    const at::Tensor index = load_part(name, ".weight_g_idx", {"I32"}, {shape.in});
    if (index.eq(-1).all().item<bool>()) return {};  // the library's way to say: not used
    return simplified_group_index(index, group_size, shape.groups());
  }

  CompressedConfig config_;
};

std::unique_ptr<ModelWriter> open_writer(const std::filesystem::path& folder,
                                         const OutputPlan& plan) {
  return std::make_unique<CompressedWriter>(folder, plan);
}

std::unique_ptr<PackedModel> open_reader(std::shared_ptr<const Checkpoint> checkpoint) {
  const QuantizationConfig found = find_quantization(*checkpoint);
  if (quantization_method(found) != "compressed-tensors") return nullptr;
  CompressedConfig config = parse_compressed_config(found, checkpoint->metadata());
  return std::make_unique<CompressedModel>(std::move(checkpoint), std::move(config));
}

}  // namespace

Format compressed_tensors_format() {
  return {.name = "compressed-tensors",
          .summary = "vLLM, transformers: pack-quantized, 2 .. 8 bits (3, 5, 6, 7 on request)",
          .least_zero = 0,
          .fuses_linears = true,
          .refusal = refusal,
          .on_request = any_dense,
          .open_writer = open_writer,
          .scale_type = [](const OutputPlan& plan) { return plan.dtype; },
          .caution = compressed_caution,
          .open_reader = open_reader};
}

}  // namespace halftone
