#include "format/mlx_model.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "format/coarse_weights.h"
#include "format/packed_rows.h"

namespace halftone {
namespace {

constexpr int kWord = 32;

}  // namespace

MlxModel::MlxModel(std::shared_ptr<const Checkpoint> checkpoint, const QuantizationConfig& found)
    : checkpoint_(std::move(checkpoint)) {
  const ConfigFields fields(found.json, found.place);
  const MlxGrid common = parse_mlx_grid(fields);
  for (const std::string& name : checkpoint_->names()) {
    if (!name.ends_with(kMlxScales)) continue;
    const std::string linear = name.substr(0, name.size() - kMlxScales.size());
    const auto own = found.json.find(linear);
    const bool differs = own != found.json.end() && own->is_object();
    with_context(fmt::format("{}: {}", checkpoint_->folder().string(), printable(linear)), [&] {
      const MlxGrid grid = differs ? parse_mlx_grid(fields.object(linear)) : common;
      packed_[linear + std::string(kMlxCodes)] = checked(linear, grid);
    });
    for (const std::string_view part : {kMlxScales, kMlxBiases})
      parts_.insert(linear + std::string(part));
  }
  for (const std::string& name : checkpoint_->names())
    require(checkpoint_->stored(name).dtype != "U32" || find(name) != nullptr,
            "{}: {}: codes without '{}'", checkpoint_->folder().string(), printable(name),
            kMlxScales);
  require(!packed_.empty(), "{}: the config says quantized, but there is no tensor NAME{}",
          checkpoint_->folder().string(), kMlxScales);
}

MlxModel::Packed MlxModel::checked(const std::string& linear, const MlxGrid& grid) const {
  const auto part = [&](std::string_view suffix) -> const StoredTensor& {
    const std::string name = linear + std::string(suffix);
    require(checkpoint_->contains(name), "'{}' is missing", suffix);
    return checkpoint_->stored(name);
  };
  const StoredTensor &weight = part(kMlxCodes), &scales = part(kMlxScales),
                     &biases = part(kMlxBiases);
  require(weight.dtype == "U32" && weight.shape.size() == 2, "'{}': expected a matrix of U32",
          kMlxCodes);
  require(scales.dtype == "F16" || scales.dtype == "BF16" || scales.dtype == "F32",
          "'{}': expected F16, BF16 or F32, found {}", kMlxScales, scales.dtype);
  require(scales.shape.size() == 2 && scales.shape[0] == weight.shape[0],
          "'{}': expected a matrix of {} rows", kMlxScales, weight.shape[0]);
  require(biases.dtype == scales.dtype && biases.shape == scales.shape,
          "'{}': expected the type and shape of '{}'", kMlxBiases, kMlxScales);
  const Packed packed{grid, scales.shape[0], scales.shape[1] * grid.group_size};
  require(packed.out > 0 && packed.in > 0 && packed.in / kWord * grid.bits == weight.shape[1],
          "'{}': {} words a row; {} columns of {} bits fill {}", kMlxCodes, weight.shape[1],
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
  const std::string linear(weight.substr(0, weight.size() - kMlxCodes.size()));
  const auto part = [&](std::string_view suffix) {
    at::Tensor tensor = checkpoint_->load(linear + std::string(suffix));
    if (suffix == kMlxCodes) tensor = tensor.view(at::kInt);
    return rows.defined() ? tensor.index_select(0, rows) : tensor;
  };
  const at::Tensor scales = part(kMlxScales), biases = part(kMlxBiases);
  require(scales.isfinite().all().item<bool>() && biases.isfinite().all().item<bool>(),
          "{}: {}: a scale or a bias is not finite", checkpoint_->folder().string(),
          printable(linear));
  return mlx_weights(unpack_rows(part(kMlxCodes), packed.in, packed.grid.bits), scales, biases)
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
  for (const std::string_view part : {kMlxScales, kMlxBiases})
    checkpoint_->release(std::string(name.substr(0, name.size() - kMlxCodes.size())) +
                         std::string(part));
}

QuantizedLinear MlxModel::read_linear(const std::string& name) const {
  fail("{}: {}: MLX's weights are on no grid of ours", checkpoint_->folder().string(),
       printable(name));
}

size_t MlxModel::linear_bytes(const std::string& name) const {
  size_t bytes = checkpoint_->stored_info(name + std::string(kMlxCodes)).bytes;
  if (find(name + std::string(kMlxCodes)) != nullptr)
    for (const std::string_view part : {kMlxScales, kMlxBiases})
      bytes += checkpoint_->stored_info(name + std::string(part)).bytes;
  return bytes;
}

std::string MlxModel::coarse_weights() const {
  std::map<std::string, int> counts;
  for (const auto& [name, packed] : packed_)
    if (packed.grid.bits < kFineBits) counts[fmt::format("{} bits", packed.grid.bits)] += 1;
  return coarse_text(counts);
}

}  // namespace halftone
