// native: our own container, for every grid. Version 1 (docs/formats.md shows the same with
// examples).
//
// A Hugging Face folder whose config.json holds
//   "quantization_config": {"quant_method": "halftone", "format": "native", "version": 1}
// and whose safetensors files each carry, under the metadata key "halftone.native", one JSON object
//   {"version": 1, "linears": {NAME: {"kind": KIND, "bits": 1 .. 8, "shape": [out, in],
//                                     "group_size": 1 .. in, "symmetric": true | false,
//                                     "group_index": true | false, and the keys of KIND}}}
// With b bits and groups = ceil(in / group_size) every linear has
//   NAME.codes         U8 [out, ceil(in*b/8)]   every row a bit stream LE(b) of its own, spare bits
//                                               0
// and, if the description says so or there is something to list,
//   NAME.group_index   [in]                     group of each column; else column / group_size.
//                                               U8 up to 256 groups, else I32; kind "uniform": I32
//   NAME.dead_columns  I32 [dead]               ascending: columns whose weights are 0
//   NAME.outlier_*                              "outliers": true; see native_outliers.cpp
// "online_rotation" in quantization_config is the network's (model/config.h): it multiplies what
// some linears read. What the codes mean is its kind's: native_uniform.cpp, native_bilevel.cpp,
// native_split.cpp, native_binary.cpp, native_super_block.cpp,
// native_vector.cpp, native_trellis.cpp.
//
// A reader refuses a version, a kind or a key that it does not know, so nothing is ever read half.
#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "checkpoint/strict_json.h"
#include "format/bit_stream.h"
#include "format/detect.h"
#include "format/folder_writer.h"
#include "format/format_entries.h"
#include "format/linear_check.h"
#include "format/native_kinds.h"
#include "format/packed_folder.h"
#include "format/packed_rows.h"
#include "format/side_parts_check.h"

namespace halftone {
namespace {

constexpr int64_t kVersion = 1;
constexpr const char* kMetadataKey = "halftone.native";

template <class Matches>
const NativeKind* find_kind(Matches&& matches) {
  const auto& kinds = native_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), matches);
  return found == kinds.end() ? nullptr : &*found;
}

const NativeKind& kind_of(const StoredGrid& grid) {
  const NativeKind* kind = find_kind([&](const NativeKind& one) { return one.grid == grid.kind; });
  require(kind != nullptr, "grid.kind: the native container has no such kind");
  return *kind;
}

nlohmann::json describe(const LinearPlan& linear) {
  const StoredGrid& grid = linear.grid;
  const NativeKind& kind = kind_of(grid);
  nlohmann::json description = {{"kind", kind.name},
                                {"bits", grid.bits},
                                {"shape", {linear.out, linear.in}},
                                {"group_size", grid.columns_per_group(linear.in)},
                                {"symmetric", grid.symmetric},
                                {"group_index", grid.group_index}};
  if (grid.outliers) description["outliers"] = true;
  kind.describe(grid, description);
  return description;
}

std::map<std::string, std::string> metadata_of(const OutputPlan& plan) {
  nlohmann::json linears = nlohmann::json::object();
  for (const LinearPlan& linear : plan.on_grids()) linears[linear.name] = describe(linear);
  const nlohmann::json description = {{"version", kVersion}, {"linears", linears}};
  return {{kMetadataKey, description.dump()}};
}

// Files of kind "uniform" were written before there was another: they keep their type.
at::ScalarType group_index_type(const NativeKind& kind, const QuantizedLinear& linear) {
  return kind.grid == GridKind::kUniform || linear.groups() > 256 ? at::kInt : at::kByte;
}

class NativeWriter final : public FolderWriter {
 public:
  NativeWriter(const std::filesystem::path& folder, const OutputPlan& plan)
      : FolderWriter(folder, plan, metadata_of(plan)) {}

 private:
  std::string pack(const LinearPlan& planned, const FinishedLinear& finished) override {
    const QuantizedLinear& linear = finished.quantized;
    const StoreNativePart store_part = [&](std::string_view part, const at::Tensor& tensor) {
      store(planned.name + std::string(part), tensor);
    };
    store_part(".codes", pack_byte_rows(linear.codes, linear.bits));
    kind_of(planned.grid).pack(linear, store_part);
    if (planned.grid.group_index)
      store_part(".group_index",
                 column_groups(linear).to(group_index_type(kind_of(planned.grid), linear)));
    if (linear.dead_columns.defined())
      store_part(".dead_columns", linear.dead_columns.contiguous());
    if (linear.outliers) pack_outliers(*linear.outliers, linear.in(), store_part);
    return finished.fingerprint;
  }
  nlohmann::json quantization_config() const override {
    nlohmann::json config = {
        {"quant_method", "halftone"}, {"format", "native"}, {"version", kVersion}};
    if (plan().online) config.update(plan().online->config);
    return config;
  }
};

const NativeKind& parse_kind(const ConfigFields& fields) {
  const std::string name = fields.text("kind");
  std::vector<std::string_view> names;
  for (const NativeKind& kind : native_kinds()) names.push_back(kind.name);
  const NativeKind* kind = find_kind([&](const NativeKind& one) { return one.name == name; });
  require(kind != nullptr, "{}: kind: expected one of {}, found {}", fields.place(),
          fmt::join(names, ", "), printable(name));
  return *kind;
}

NativeLinear parse_linear(const ConfigFields& fields) {
  const NativeKind& kind = parse_kind(fields);
  std::vector<std::string_view> known = {"kind",      "bits",        "shape",   "group_size",
                                         "symmetric", "group_index", "outliers"};
  known.insert(known.end(), kind.keys.begin(), kind.keys.end());
  fields.require_known(known);
  const nlohmann::json& shape = fields.value("shape");
  const auto is_size = [](const nlohmann::json& size) {
    return size.is_number_unsigned() && size.get<uint64_t>() >= 1 &&
           size.get<uint64_t>() <= INT32_MAX;
  };
  require(shape.is_array() && shape.size() == 2 && is_size(shape[0]) && is_size(shape[1]),
          "{}: shape: expected [out, in]", fields.place());
  const auto in = shape[1].get<int64_t>();
  return {.kind = &kind,
          .bits = static_cast<int>(fields.integer("bits", 1, 8)),
          .out = shape[0].get<int64_t>(),
          .in = in,
          .group_size = fields.integer("group_size", 1, in),
          .symmetric = fields.boolean("symmetric"),
          .group_index = fields.boolean("group_index"),
          .outliers = fields.boolean_or("outliers", false),
          .description = fields.json(),
          .place = fields.place()};
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

// Tensors of any kind; `.codes`, which every linear has, comes first.
std::vector<std::string> all_parts() {
  std::vector<std::string> parts = {".codes", ".group_index", ".dead_columns"};
  parts.insert(parts.end(), kNativeOutlierParts.begin(), kNativeOutlierParts.end());
  for (const NativeKind& kind : native_kinds())
    for (const std::string& part : kind.parts)
      if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  return parts;
}

class NativeModel final : public PackedFolder {
 public:
  explicit NativeModel(const std::shared_ptr<const Checkpoint>& checkpoint)
      : PackedFolder(checkpoint, all_parts()), described_(parse_description(*checkpoint)) {
    for (const auto& [name, unused] : described_)
      require(has_part(name, ".codes"),
              "{}: {}: described in the metadata, but '.codes' is missing",
              checkpoint->folder().string(), printable(name));
    check_linears();
  }
  std::string format() const override { return "native"; }

 private:
  // The parts of one linear, for its kind.
  class Parts final : public NativeParts {
   public:
    Parts(const NativeModel& model, const std::string& name) : model_(model), name_(name) {}
    bool has(std::string_view part) const override { return model_.has_part(name_, part); }
    int64_t list_length(std::string_view part, Types dtypes) const override {
      return model_.list_part(name_, part, dtypes);
    }
    void check(std::string_view part, Types dtypes,
               const std::vector<int64_t>& shape) const override {
      model_.check_part(name_, part, dtypes, shape);
    }
    at::Tensor load(std::string_view part, Types dtypes,
                    const std::vector<int64_t>& shape) const override {
      return model_.load_part(name_, part, dtypes, shape);
    }
    at::Tensor load_numbers(std::string_view part, Types dtypes,
                            const std::vector<int64_t>& shape) const override {
      check(part, dtypes, shape);
      return model_.load_scales(name_, part, shape);
    }

   private:
    const NativeModel& model_;
    const std::string& name_;
  };

  const NativeLinear& described(const std::string& name) const {
    const auto found = described_.find(name);
    require(found != described_.end(), "the metadata does not describe this linear");
    return found->second;
  }

  std::vector<int64_t> checked_shape(const std::string& name) const override {
    const NativeLinear& linear = described(name);
    const Parts parts(*this, name);
    parts.check(".codes", {"U8"}, codes_shape(linear));
    for (const NativeKind& other : native_kinds())
      for (const std::string& part : other.parts)
        require(!parts.has(part) || std::find(linear.kind->parts.begin(), linear.kind->parts.end(),
                                              part) != linear.kind->parts.end(),
                "'{}': no part of kind {}", part, linear.kind->name);
    linear.kind->check(linear, parts);
    if (linear.group_index) parts.check(".group_index", {"I32", "U8"}, {linear.in});
    require(linear.group_index == parts.has(".group_index"),
            "'.group_index': the metadata says there is none");
    check_outlier_parts(linear, parts);
    return {linear.out, linear.in};
  }

  static std::vector<int64_t> codes_shape(const NativeLinear& linear) {
    return {linear.out, stream_bytes(linear.in, linear.bits)};
  }

  QuantizedLinear unpack(const std::string& name) const override {
    const NativeLinear& stored = described(name);
    const Parts parts(*this, name);
    return unpack(stored, parts, parts.load(".codes", {"U8"}, codes_shape(stored)));
  }

  std::optional<QuantizedLinear> unpack_rows_of(const std::string& name,
                                                const at::Tensor& index) const override {
    const NativeLinear& stored = described(name);
    if (stored.kind->grid != GridKind::kUniform || stored.outliers) return std::nullopt;
    const Parts parts(*this, name);
    const at::Tensor codes = parts.load(".codes", {"U8"}, codes_shape(stored));
    QuantizedLinear rows = unpack(stored, parts, codes.index_select(0, index));
    rows.scales = rows.scales.index_select(0, index);
    rows.zeros = rows.zeros.index_select(0, index);
    return rows;
  }

  // codes: all rows of them, or some
  QuantizedLinear unpack(const NativeLinear& stored, const Parts& parts,
                         const at::Tensor& codes) const {
    QuantizedLinear linear;
    linear.bits = stored.bits;
    linear.group_size = stored.group_size;
    linear.symmetric = stored.symmetric;
    linear.codes = unpack_byte_rows(codes, stored.in, stored.bits);
    if (stored.group_index)
      linear.group_of_column = simplified_group_index(
          parts.load(".group_index", {"I32", "U8"}, {stored.in}).to(at::kInt), stored.group_size,
          stored.groups());
    if (parts.has(".dead_columns")) {
      const int64_t dead = parts.list_length(".dead_columns", {"I32"});
      linear.dead_columns = parts.load(".dead_columns", {"I32"}, {dead}).clone();
      check_dead_columns(linear.dead_columns, stored.in);
    }
    stored.kind->read(stored, parts, linear);
    if (stored.outliers) linear.outliers = read_outliers(stored, parts);
    return linear;
  }

  std::map<std::string, NativeLinear> described_;
};

bool is_native(const Checkpoint& checkpoint) {
  const QuantizationConfig found = find_quantization(checkpoint);
  if (quantization_method(found) != "halftone") return false;
  const ConfigFields fields(found.json, found.place);
  fields.require_known({"quant_method", "format", "version", "online_rotation"});
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
          .least_zero = 0,
          .refusal = common_refusal,
          .on_request = nullptr,
          .open_writer = open_writer,
          .scale_type = [](const OutputPlan&) { return at::kFloat; },
          .caution = nullptr,
          .open_reader = open_reader};
}

}  // namespace halftone
