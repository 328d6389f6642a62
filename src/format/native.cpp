// native: our own container, for every grid. Version 1 (docs/formats.md shows the same with an
// example).
//
// A Hugging Face folder whose config.json holds
//   "quantization_config": {"quant_method": "halftone", "format": "native", "version": 1}
// and whose safetensors files each carry, under the metadata key "halftone.native", one JSON object
//   {"version": 1, "linears": {NAME: {"kind": "uniform", "bits": 1 .. 8, "shape": [out, in],
//   "group_size": 1 .. in,
//                                     "symmetric": true | false, "group_index": true | false}}}
// A linear of kind "uniform" is, with b bits and groups = ceil(in / group_size),
//   NAME.codes        U8 [out, ceil(in*b/8)]       every row a bit stream LE(b) of its own, spare
//   bits 0 NAME.scales       F16, BF16 or F32 [out, groups]   the first of these that holds every
//   scale exactly NAME.zeros        U8 [ceil(out*groups*b/8)]    one stream LE(b), row by row;
//   asymmetric only, else 2^(b-1) NAME.group_index  I32 [in]                     group of each
//   column; else column / group_size
// and means  w[o, i] = scales[o, g(i)] * (codes[o, i] - zeros[o, g(i)]), one float32
// multiplication.
//
// Other kinds of grid will be other values of "kind" with tensors of their own; a reader refuses a
// version, a kind or a key that it does not know, so nothing is ever read half.
#include <ATen/ATen.h>

#include "base/error.h"
#include "checkpoint/strict_json.h"
#include "format/bit_stream.h"
#include "format/config_fields.h"
#include "format/detect.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/packed_folder.h"
#include "format/packed_rows.h"

namespace halftone {
namespace {

constexpr int64_t kVersion = 1;
constexpr const char* kMetadataKey = "halftone.native";

nlohmann::json describe(const LinearPlan& linear) {
  const GridOptions& grid = linear.recipe.grid;
  return {{"kind", "uniform"},
          {"bits", grid.bits},
          {"shape", {linear.out, linear.in}},
          {"group_size", columns_per_group(grid, linear.in)},
          {"symmetric", grid.symmetric},
          {"group_index", needs_group_index(linear.recipe.order)}};
}

std::map<std::string, std::string> metadata_of(const OutputPlan& plan) {
  nlohmann::json linears = nlohmann::json::object();
  for (const LinearPlan& linear : plan.linears) linears[linear.name] = describe(linear);
  const nlohmann::json description = {{"version", kVersion}, {"linears", linears}};
  return {{kMetadataKey, description.dump()}};
}

at::ScalarType smallest_exact_type(const at::Tensor& scales) {
  for (const at::ScalarType dtype : {at::kHalf, at::kBFloat16})
    if (scales_fit(scales, dtype)) return dtype;
  return at::kFloat;
}

class NativeWriter final : public FolderWriter {
 public:
  NativeWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan, metadata_of(plan)) {}

 private:
  void pack(const LinearPlan& planned, const QuantizedLinear& linear) override {
    const std::string& name = planned.name;
    store(name + ".codes", pack_byte_rows(linear.codes, linear.bits));
    store(name + ".scales", exact_scales(linear.scales, smallest_exact_type(linear.scales)));
    if (!linear.symmetric) store(name + ".zeros", pack_bytes(linear.zeros, linear.bits));
    if (needs_group_index(planned.recipe.order))
      store(name + ".group_index", column_groups(linear));
  }
  nlohmann::json quantization_config() const override {
    return {{"quant_method", "halftone"}, {"format", "native"}, {"version", kVersion}};
  }
};

struct NativeLinear {
  int bits;
  int64_t out, in, group_size;
  bool symmetric, group_index;

  int64_t groups() const { return group_count(in, group_size); }
};

NativeLinear parse_linear(const ConfigFields& fields) {
  fields.require_known({"kind", "bits", "shape", "group_size", "symmetric", "group_index"});
  fields.value("kind");
  fields.require_one_of("kind", {"uniform"});
  const nlohmann::json& shape = fields.value("shape");
  const auto is_size = [](const nlohmann::json& size) {
    return size.is_number_unsigned() && size.get<uint64_t>() >= 1 &&
           size.get<uint64_t>() <= INT32_MAX;
  };
  require(shape.is_array() && shape.size() == 2 && is_size(shape[0]) && is_size(shape[1]),
          "{}: shape: expected [out, in]", fields.place());
  const auto in = shape[1].get<int64_t>();
  return {.bits = static_cast<int>(fields.integer("bits", 1, 8)),
          .out = shape[0].get<int64_t>(),
          .in = in,
          .group_size = fields.integer("group_size", 1, in),
          .symmetric = fields.boolean("symmetric"),
          .group_index = fields.boolean("group_index")};
}

std::map<std::string, NativeLinear> parse_description(const Checkpoint& checkpoint) {
  const std::string place =
      fmt::format("{}: metadata {}", checkpoint.folder().string(), kMetadataKey);
  const auto text = checkpoint.metadata().find(kMetadataKey);
  require(text != checkpoint.metadata().end(), "{}: missing", place);
  const nlohmann::json json = with_context(place, [&] { return parse_strict_json(text->second); });
  const ConfigFields fields(json, place);
  fields.integer("version", kVersion, kVersion);
  fields.require_known({"version", "linears"});
  const ConfigFields linears = fields.object("linears");
  std::map<std::string, NativeLinear> parsed;
  for (const auto& [name, linear] : linears.json().items())
    parsed[name] = parse_linear({linear, fmt::format("{}: {}", place, printable(name))});
  return parsed;
}

class NativeModel final : public PackedFolder {
 public:
  explicit NativeModel(const std::shared_ptr<const Checkpoint>& checkpoint)
      : PackedFolder(checkpoint, {".codes", ".scales", ".zeros", ".group_index"}),
        described_(parse_description(*checkpoint)) {
    for (const auto& [name, unused] : described_)
      require(has_part(name, ".codes"),
              "{}: {}: described in the metadata, but '.codes' is missing",
              checkpoint->folder().string(), printable(name));
    check_linears();
  }
  std::string format() const override { return "native"; }

 private:
  const NativeLinear& described(const std::string& name) const {
    const auto found = described_.find(name);
    require(found != described_.end(), "the metadata does not describe this linear");
    return found->second;
  }

  void check_shapes(const std::string& name) const override {
    const NativeLinear& linear = described(name);
    check_part(name, ".codes", {"U8"}, {linear.out, stream_bytes(linear.in, linear.bits)});
    check_part(name, ".scales", {"F16", "BF16", "F32"}, {linear.out, linear.groups()});
    if (!linear.symmetric) check_part(name, ".zeros", {"U8"}, zeros_shape(linear));
    if (linear.group_index) check_part(name, ".group_index", {"I32"}, {linear.in});
    require(linear.symmetric != has_part(name, ".zeros"),
            "'.zeros': symmetric, yet there are zeros");
    require(linear.group_index == has_part(name, ".group_index"),
            "'.group_index': the metadata says there is none");
  }

  static std::vector<int64_t> zeros_shape(const NativeLinear& linear) {
    return {stream_bytes(linear.out * linear.groups(), linear.bits)};
  }

  // -> (out, groups) uint8
  at::Tensor read_zeros(const std::string& name, const NativeLinear& stored) const {
    const int64_t count = stored.out * stored.groups();
    if (stored.symmetric)
      return at::full({stored.out, stored.groups()}, 1 << (stored.bits - 1), at::kByte);
    const at::Tensor stream = load_part(name, ".zeros", {"U8"}, zeros_shape(stored));
    return unpack_byte_rows(stream.unsqueeze(0), count, stored.bits)
        .reshape({stored.out, stored.groups()});
  }

  QuantizedLinear unpack(const std::string& name) const override {
    const NativeLinear& stored = described(name);
    QuantizedLinear linear;
    linear.bits = stored.bits;
    linear.group_size = stored.group_size;
    linear.symmetric = stored.symmetric;
    linear.codes = unpack_byte_rows(
        load_part(name, ".codes", {"U8"}, {stored.out, stream_bytes(stored.in, stored.bits)}),
        stored.in, stored.bits);
    linear.scales = load_scales(name, ".scales", {stored.out, stored.groups()});
    linear.zeros = read_zeros(name, stored);
    if (stored.group_index)
      linear.group_of_column =
          simplified_group_index(load_part(name, ".group_index", {"I32"}, {stored.in}),
                                 stored.group_size, stored.groups());
    return linear;
  }

  std::map<std::string, NativeLinear> described_;
};

bool is_native(const Checkpoint& checkpoint) {
  const QuantizationConfig found = find_quantization(checkpoint);
  if (quantization_method(found) != "halftone") return false;
  const ConfigFields fields(found.json, found.place);
  fields.require_known({"quant_method", "format", "version"});
  fields.value("format");
  fields.require_one_of("format", {"native"});
  fields.integer("version", kVersion, kVersion);
  return true;
}

std::unique_ptr<ModelWriter> open_writer(const std::filesystem::path& folder,
                                         const OutputPlan& plan) {
  return std::make_unique<NativeWriter>(folder, plan);
}

std::unique_ptr<PackedModel> open_reader(std::shared_ptr<const Checkpoint> checkpoint) {
  if (!is_native(*checkpoint)) return nullptr;
  return std::make_unique<NativeModel>(checkpoint);
}

}  // namespace

Format native_format() {
  return {.name = "native",
          .summary = "our own container: every grid, exactly",
          .refusal = common_refusal,
          .on_request = nullptr,
          .open_writer = open_writer,
          .open_reader = open_reader};
}

}  // namespace halftone
