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

#include <map>
#include <set>

#include "base/error.h"
#include "checkpoint/stored_layout.h"
#include "format/config_fields.h"
#include "format/detect.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/packed_rows.h"
#include "format/stored_numbers.h"
#include "format/unquantized.h"
#include "format/verify.h"

namespace halftone {
namespace {

constexpr std::string_view kWeight = ".weight", kScales = ".scales", kBiases = ".biases";
constexpr int kWord = 32;
constexpr double kFine = 8;  // bits of a weight from which on its own error counts for little

struct Grid {
  int bits = 4;
  int64_t group_size = 64;
};

bool has_bits(int64_t bits) {
  return bits >= 2 && bits <= 8 && bits != 7;
}
bool has_group_size(int64_t size) {
  return size == 32 || size == 64 || size == 128;
}

// What MLX makes of codes.   codes: (rows, in) uint8; scales, biases: (rows, groups) of one float
// type  -> (rows, in) of that type
at::Tensor weights_of(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& biases) {
  const std::vector<int64_t> by_group = {codes.size(0), scales.size(1), -1};
  at::Tensor weights = codes.to(scales.scalar_type()).reshape(by_group);
  weights.mul_(scales.unsqueeze(-1)).add_(biases.unsqueeze(-1));
  return weights.reshape(codes.sizes());
}

std::string linear_refusal(const LinearPlan& linear) {
  if (std::string why = plain_grid_refusal(linear); !why.empty()) return why;
  const StoredGrid& grid = linear.grid;
  if (!has_bits(grid.bits)) return fmt::format("{} bits; MLX has 2, 3, 4, 5, 6 or 8", grid.bits);
  if (!has_group_size(grid.group_size))
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
    store(planned.name + std::string(kWeight),
          pack_rows(quantized.codes, quantized.bits).view(at::kUInt32));
    store(planned.name + std::string(kScales), scales);
    store(planned.name + std::string(kBiases), biases);
    return weight_fingerprint(planned.out, planned.in, [&](int64_t begin, int64_t count) {
      return weights_of(quantized.codes.narrow(0, begin, count), scales.narrow(0, begin, count),
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

// Errors: values outside what MLX has; another mode than affine.
Grid parse_grid(const ConfigFields& fields) {
  fields.require_one_of("mode", {"affine"});
  const Grid grid{.bits = static_cast<int>(fields.integer("bits", 2, 8)),
                  .group_size = fields.integer("group_size", 32, 128)};
  require(has_bits(grid.bits), "{}: bits: expected 2, 3, 4, 5, 6 or 8, found {}", fields.place(),
          grid.bits);
  require(has_group_size(grid.group_size), "{}: group_size: expected 32, 64 or 128, found {}",
          fields.place(), grid.group_size);
  return grid;
}

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
  QuantizedLinear read_linear(const std::string& name) const override {
    fail("{}: {}: MLX's weights are on no grid of ours", checkpoint_->folder().string(),
         printable(name));
  }
  size_t linear_bytes(const std::string& name) const override;
  const ModelSource& source() const override { return *checkpoint_; }
  bool is_packed(std::string_view weight) const override { return find(weight) != nullptr; }
  std::string coarse_weights() const override;

 private:
  struct Packed {
    Grid grid;
    int64_t out, in;
  };

  // Errors: parts that are missing, or do not fit the grid.
  Packed checked(const std::string& linear, const Grid& grid) const;
  const Packed* find(std::string_view weight) const;
  // rows: of the words, or all of them where it is undefined
  at::Tensor weights_in(std::string_view weight, const Packed& packed,
                        const at::Tensor& rows) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::map<std::string, Packed, std::less<>> packed_;  // by the name of the weight
  std::set<std::string, std::less<>> parts_;           // scales and biases
};

MlxModel::MlxModel(std::shared_ptr<const Checkpoint> checkpoint, const QuantizationConfig& found)
    : checkpoint_(std::move(checkpoint)) {
  const ConfigFields fields(found.json, found.place);
  const Grid common = parse_grid(fields);
  for (const std::string& name : checkpoint_->names()) {
    if (!name.ends_with(kScales)) continue;
    const std::string linear = name.substr(0, name.size() - kScales.size());
    const auto own = found.json.find(linear);
    const bool differs = own != found.json.end() && own->is_object();
    with_context(fmt::format("{}: {}", checkpoint_->folder().string(), printable(linear)), [&] {
      const Grid grid = differs ? parse_grid(fields.object(linear)) : common;
      packed_[linear + std::string(kWeight)] = checked(linear, grid);
    });
    for (const std::string_view part : {kScales, kBiases})
      parts_.insert(linear + std::string(part));
  }
  for (const std::string& name : checkpoint_->names())
    require(checkpoint_->stored(name).dtype != "U32" || find(name) != nullptr,
            "{}: {}: codes without '{}'", checkpoint_->folder().string(), printable(name), kScales);
  require(!packed_.empty(), "{}: the config says quantized, but there is no tensor NAME{}",
          checkpoint_->folder().string(), kScales);
}

MlxModel::Packed MlxModel::checked(const std::string& linear, const Grid& grid) const {
  const auto part = [&](std::string_view suffix) -> const StoredTensor& {
    const std::string name = linear + std::string(suffix);
    require(checkpoint_->contains(name), "'{}' is missing", suffix);
    return checkpoint_->stored(name);
  };
  const StoredTensor &weight = part(kWeight), &scales = part(kScales), &biases = part(kBiases);
  require(weight.dtype == "U32" && weight.shape.size() == 2, "'{}': expected a matrix of U32",
          kWeight);
  require(scales.dtype == "F16" || scales.dtype == "BF16" || scales.dtype == "F32",
          "'{}': expected F16, BF16 or F32, found {}", kScales, scales.dtype);
  require(scales.shape.size() == 2 && scales.shape[0] == weight.shape[0],
          "'{}': expected a matrix of {} rows", kScales, weight.shape[0]);
  require(biases.dtype == scales.dtype && biases.shape == scales.shape,
          "'{}': expected the type and shape of '{}'", kBiases, kScales);
  const Packed packed{grid, scales.shape[0], scales.shape[1] * grid.group_size};
  require(packed.out > 0 && packed.in > 0 && packed.in / kWord * grid.bits == weight.shape[1],
          "'{}': {} words a row; {} columns of {} bits fill {}", kWeight, weight.shape[1],
          packed.in, grid.bits, packed.in / kWord * grid.bits);
  return packed;
}

const MlxModel::Packed* MlxModel::find(std::string_view weight) const {
  const auto found = packed_.find(weight);
  return found == packed_.end() ? nullptr : &found->second;
}

std::vector<std::string> MlxModel::names() const {
  std::vector<std::string> names = checkpoint_->names();
  std::erase_if(names, [&](const std::string& name) { return parts_.contains(name); });
  return names;
}

WeightInfo MlxModel::info(std::string_view name) const {
  const Packed* packed = find(name);
  return packed ? WeightInfo{{packed->out, packed->in}, at::kFloat} : checkpoint_->info(name);
}

at::Tensor MlxModel::weights_in(std::string_view weight, const Packed& packed,
                                const at::Tensor& rows) const {
  const std::string linear(weight.substr(0, weight.size() - kWeight.size()));
  const auto part = [&](std::string_view suffix) {
    at::Tensor tensor = checkpoint_->load(linear + std::string(suffix));
    if (suffix == kWeight) tensor = tensor.view(at::kInt);
    return rows.defined() ? tensor.index_select(0, rows) : tensor;
  };
  const at::Tensor scales = part(kScales), biases = part(kBiases);
  require(scales.isfinite().all().item<bool>() && biases.isfinite().all().item<bool>(),
          "{}: {}: a scale or a bias is not finite", checkpoint_->folder().string(),
          printable(linear));
  return weights_of(unpack_rows(part(kWeight), packed.in, packed.grid.bits), scales, biases)
      .to(at::kFloat);
}

at::Tensor MlxModel::load(std::string_view name) const {
  const Packed* packed = find(name);
  return packed ? weights_in(name, *packed, {}) : checkpoint_->load(name);
}

at::Tensor MlxModel::load_rows(std::string_view name, const at::Tensor& index) const {
  const Packed* packed = find(name);
  return packed ? weights_in(name, *packed, index) : checkpoint_->load_rows(name, index);
}

void MlxModel::release(std::string_view name) const {
  checkpoint_->release(name);
  if (find(name) == nullptr) return;
  for (const std::string_view part : {kScales, kBiases})
    checkpoint_->release(std::string(name.substr(0, name.size() - kWeight.size())) +
                         std::string(part));
}

size_t MlxModel::linear_bytes(const std::string& name) const {
  size_t bytes = checkpoint_->stored_info(name + std::string(kWeight)).bytes;
  if (find(name + std::string(kWeight)) != nullptr)
    for (const std::string_view part : {kScales, kBiases})
      bytes += checkpoint_->stored_info(name + std::string(part)).bytes;
  return bytes;
}

std::string MlxModel::coarse_weights() const {
  std::map<int, int> counts;
  for (const auto& [name, packed] : packed_)
    if (packed.grid.bits < kFine) counts[packed.grid.bits] += 1;
  std::string text;
  for (const auto& [bits, count] : counts)
    text += fmt::format("{}{} in {} bits", text.empty() ? "" : ", ", count, bits);
  return text;
}

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
