#include "format/gguf_output.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/gguf_architecture.h"
#include "checkpoint/gguf_rows.h"
#include "checkpoint/gguf_writer.h"
#include "format/gguf_blocks.h"
#include "format/linear_check.h"
#include "format/stored_numbers.h"
#include "format/verify.h"
#include "format/written_linears.h"
#include "kernels/super_block_kernels.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWeight = ".weight";
constexpr uint32_t kQuantizationVersion = 2;  // of the layouts of blocks
// The report is known when the weights behind it are written: room for it is kept in front of them.
constexpr size_t kReportRoom = size_t{64} << 10, kReportRoomOfLinear = 1 << 10;
constexpr int64_t kRowsAtOnce = 1024;
constexpr auto kTensorScale = static_cast<float>(kNvfp4TensorScale);

const GgufType& matrix_type(const OutputPlan& plan) {
  const std::string& asked = plan.gguf->matrix_type;
  return *find_gguf_type(asked.empty() ? stored_name(plan.dtype) : asked);
}

std::string gguf_name_of(const OutputPlan& plan, std::string_view name) {
  return gguf_name(find_gguf_architecture(plan.gguf->architecture), name).value_or("");
}

// `general.file_type`: what most of the linears are in. Engines go by the tensors.
uint32_t file_type(const OutputPlan& plan) {
  if (plan.gguf->file_type) return *plan.gguf->file_type;
  static const std::map<std::string_view, uint32_t> numbers = {
      {"F32", 0},     {"F16", 1},    {"Q4_0", 2},     {"Q4_1", 3},    {"Q8_0", 7},
      {"Q5_0", 8},    {"Q5_1", 9},   {"Q2_K", 10},    {"Q3_K", 12},   {"Q4_K", 15},
      {"Q5_K", 17},   {"Q6_K", 18},  {"IQ2_XXS", 19}, {"IQ2_XS", 20}, {"IQ3_XXS", 23},
      {"IQ4_NL", 25}, {"IQ3_S", 26}, {"IQ2_S", 28},   {"IQ4_XS", 30}, {"BF16", 32},
      {"TQ1_0", 36},  {"TQ2_0", 37}, {"MXFP4", 38},   {"NVFP4", 39},  {"Q1_0", 40},
      {"Q2_0", 41}};  // of the K-quants the medium
                      // ones
  std::map<uint32_t, int64_t> weights;
  for (const LinearPlan& linear : plan.linears)
    weights[numbers.at(gguf_type_of(linear)->name)] += linear.out * linear.in;
  if (weights.empty()) return numbers.at(matrix_type(plan).name);
  return std::max_element(weights.begin(), weights.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// Of a weight's name.
std::string scale_name(const std::string& weight) {
  return weight.substr(0, weight.rfind('.')) + ".scale";
}

GgufPlan file_plan(const OutputPlan& plan, const std::string& report) {
  GgufPlan file;
  file.metadata = plan.gguf->metadata;
  file.part_bytes = plan.gguf->part_bytes;
  file.metadata.emplace_back("general.file_type", gguf_value(file_type(plan)));
  file.metadata.emplace_back("general.quantization_version", gguf_value(kQuantizationVersion));
  file.metadata.emplace_back(kGgufReportKey, gguf_value(report));
  file.metadata_of_parts = {{kGgufVersionKey, gguf_value(HALFTONE_VERSION)}};
  if (const auto count = static_cast<int64_t>(plan.gguf->rope_factors.size()); count > 0)
    file.tensors.push_back({kRopeFactorsName, {count}, find_gguf_type("F32")});
  const auto add_others = [&](bool last) {
    for (const PlannedTensor& tensor : plan.others)
      if (tensor.last == last)
        file.tensors.push_back(
            {gguf_name_of(plan, tensor.name), tensor.shape, &gguf_type_of(plan, tensor)});
  };
  add_others(false);
  for (const LinearPlan& linear : plan.linears) {
    const std::string name = gguf_name_of(plan, linear.name + ".weight");
    const GgufType* type = gguf_type_of(linear);
    file.tensors.push_back({name, {linear.out, linear.in}, type});
    if (has_tensor_scale(*type))
      file.tensors.push_back({scale_name(name), {1}, find_gguf_type("F32")});
  }
  add_others(true);
  return file;
}

class GgufOutput final : public ModelWriter {
 public:
  GgufOutput(const fs::path& path, const OutputPlan& plan)
      : plan_(plan),
        architecture_(find_gguf_architecture(plan.gguf->architecture)),
        written_(plan.linears),
        report_room_(kReportRoom + kReportRoomOfLinear * plan.linears.size()),
        file_(path, file_plan(plan, std::string(report_room_, ' '))) {
    if (const auto& factors = plan_.gguf->rope_factors; !factors.empty())
      file_.write(kRopeFactorsName, std::as_bytes(std::span(factors)));
  }

  void add_linear(const FinishedLinear& linear) override {
    written_.add(linear, [&](const LinearPlan& planned) {
      const GgufType& type = *gguf_type_of(planned);
      const std::string weight = linear.name + ".weight", name = gguf_name_of(plan_, weight);
      const int64_t head_dim = head_dim_of(weight);
      for (int64_t row = 0; row < planned.out; ++row)
        file_.write(name, gguf_row(linear.quantized, type, folder_row(head_dim, row)));
      if (has_tensor_scale(type))
        file_.write(scale_name(name), std::as_bytes(std::span(&kTensorScale, 1)));
      const at::Tensor decoded = as_decoded(linear.weights, type);
      return decoded.is_same(linear.weights) ? linear.fingerprint : weight_fingerprint(decoded);
    });
  }

  void add_tensor(const std::string& name, const at::Tensor& tensor) override {
    const GgufType& type = gguf_type_of(plan_, next(name));
    with_context(name, [&] {
      write(name, tensor, type);
      if (tensor.dim() == 2 && name.ends_with(kWeight))
        written_.add_plain(module_of(name), fingerprint_of(tensor, type));
    });
  }

  void add_rows(const std::string& name, const at::Tensor& matrix,
                const QuantizeRows& quantize) override {
    const GgufType& type = gguf_type_of(plan_, next(name));
    const std::string stored = gguf_name_of(plan_, name);
    with_context(name, [&] {
      const auto rows_from = [&](int64_t first, int64_t count) {
        const QuantizedLinear rows = quantize(matrix.narrow(0, first, count));
        for (int64_t row = 0; row < count; ++row) file_.write(stored, gguf_row(rows, type, row));
        return as_decoded(dequantize(rows), type);
      };
      written_.add_plain(module_of(name),
                         weight_fingerprint(matrix.size(0), matrix.size(1), rows_from));
    });
  }

  void finish(const nlohmann::json& report) override {
    written_.require_all();
    std::string text = report.dump();
    if (text.size() > report_room_) {
      nlohmann::json head = report;
      head["linears"] = nlohmann::json::array();
      head["notes"].push_back("the rows of the linears are left out: no room in the file");
      text = head.dump();
    }
    require(text.size() <= report_room_, "the report takes {} bytes, there is room for {}",
            text.size(), report_room_);
    text.resize(report_room_, ' ');
    file_.finish({{kGgufReportKey, gguf_value(text)}});
  }

  const std::map<std::string, std::string>& fingerprints() const override {
    return written_.fingerprints();
  }

 private:
  static std::string module_of(const std::string& name) {
    return name.substr(0, name.size() - kWeight.size());
  }

  // The tensor of that name, which must be the next of plan_.others.
  const PlannedTensor& next(const std::string& name) {
    require(next_ < plan_.others.size() && plan_.others[next_].name == name,
            "{}: not the next planned tensor", printable(name));
    return plan_.others[next_++];
  }

  // Of a tensor whose rows lie in another order in the file; 0: in the folder's.
  int64_t head_dim_of(std::string_view name) const {
    return has_paired_rows(architecture_, name) ? plan_.gguf->head_dim : 0;
  }

  // A vector, or a matrix some rows at a time.
  void write(const std::string& name, const at::Tensor& tensor, const GgufType& type) {
    const int64_t rows = tensor.dim() == 0 ? 1 : tensor.size(0), head_dim = head_dim_of(name);
    const at::Tensor table = tensor.reshape({rows, -1});
    const std::string stored = gguf_name_of(plan_, name);
    for (int64_t first = 0; first < rows; first += kRowsAtOnce) {
      std::vector<int64_t> from;
      for (int64_t row = first; row < std::min(rows, first + kRowsAtOnce); ++row)
        from.push_back(folder_row(head_dim, row));
      const at::Tensor part = table.index_select(0, at::tensor(from, at::kLong));
      file_.write(stored, bytes_of(part, type));
    }
  }

  // numbers: (rows, in)
  static std::vector<std::byte> bytes_of(const at::Tensor& numbers, const GgufType& type) {
    const at::Tensor wide = numbers.to(at::kFloat).contiguous();
    const int64_t blocks = wide.numel() / type.block_length;
    std::vector<std::byte> bytes(static_cast<size_t>(blocks * type.block_bytes));
    type.encode(blocks, wide.const_data_ptr<float>(), reinterpret_cast<uint8_t*>(bytes.data()));
    return bytes;
  }

  // Of what a matrix is once it was written in this type.
  static std::string fingerprint_of(const at::Tensor& matrix, const GgufType& type) {
    return weight_fingerprint(matrix.size(0), matrix.size(1), [&](int64_t first, int64_t count) {
      const std::vector<std::byte> bytes = bytes_of(matrix.narrow(0, first, count), type);
      const at::Tensor rows = at::empty({count, matrix.size(1)}, at::kFloat);
      type.decode(rows.numel() / type.block_length, reinterpret_cast<const uint8_t*>(bytes.data()),
                  rows.mutable_data_ptr<float>());
      return rows;
    });
  }

  OutputPlan plan_;
  const GgufArchitecture& architecture_;
  WrittenLinears written_;
  size_t report_room_, next_ = 0;  // next_: of plan_.others
  GgufWriter file_;
};

}  // namespace

const GgufType& gguf_type_of(const OutputPlan& plan, const PlannedTensor& tensor) {
  if (tensor.shape.size() < 2) return *find_gguf_type("F32");
  return tensor.gguf_type.empty() ? matrix_type(plan) : *find_gguf_type(tensor.gguf_type);
}

std::string gguf_refusal(const OutputPlan& plan) {
  if (std::string common = common_refusal(plan); !common.empty()) return common;
  if (!plan.gguf) return "a GGUF file needs to be asked for by name";
  if (plan.online) return "inputs are rotated as the model runs, which no GGUF engine does";
  for (const LinearPlan& linear : plan.linears)
    if (const std::string why = gguf_grid_refusal(linear); !why.empty())
      return fmt::format("{}: {}", linear.name, why);
  for (const PlannedTensor& tensor : plan.others) {
    const GgufType& type = gguf_type_of(plan, tensor);
    if (gguf_name_of(plan, tensor.name).empty())
      return fmt::format("{}: architecture {} has no such tensor", tensor.name,
                         plan.gguf->architecture);
    if (!tensor.shape.empty() && tensor.shape.back() % type.block_length != 0)
      return fmt::format("{}: rows of {}; {} needs a multiple of {}", tensor.name,
                         tensor.shape.back(), type.name, type.block_length);
  }
  return "";
}

std::unique_ptr<ModelWriter> open_gguf_writer(const fs::path& path, const OutputPlan& plan) {
  require(plan.gguf.has_value(), "{}: planned without what a GGUF file says of a model",
          shown(path));
  return std::make_unique<GgufOutput>(path, plan);
}

}  // namespace halftone
