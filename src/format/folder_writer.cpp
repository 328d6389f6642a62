#include "format/folder_writer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "format/companions.h"
#include "format/linear_check.h"
#include "format/verify.h"
#include "quantize/joined_rows.h"

namespace halftone {
namespace {

constexpr int64_t kWeightsAtOnce = int64_t{1} << 20;  // of a matrix that comes by rows

std::map<std::string, std::string> with_framework(std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");  // transformers wants it
  return metadata;
}

// config.json, but for the quantization.
const nlohmann::json& config_of(const OutputPlan& plan, const std::filesystem::path& folder) {
  require(plan.source != nullptr, "{}: no source model to take the config from", folder.string());
  return plan.config.is_null() ? plan.source->config() : plan.config;
}

// Of all weights that will come.
std::vector<std::string> names_of(const OutputPlan& plan) {
  std::vector<std::string> names;
  for (const PlannedTensor& tensor : plan.others) names.push_back(tensor.name);
  for (const LinearPlan& linear : plan.linears) names.push_back(linear.name + ".weight");
  return names;
}

}  // namespace

FolderWriter::FolderWriter(std::filesystem::path folder, const OutputPlan& plan,
                           std::map<std::string, std::string> metadata, bool join_experts)
    : folder_(std::move(folder)),
      plan_(plan),
      layout_(stored_layout(config_of(plan_, folder_))),
      written_(plan.on_grids()),
      shards_(folder_, with_framework(std::move(metadata))) {
  if (join_experts) joiner_.emplace(layout_, names_of(plan_));
  // before any work, which a file that cannot be read would make worthless
  if (const auto companions = plan_.source->companion_folder(); companions && plan_.companions)
    copy_companions(*companions, folder_);
}

void FolderWriter::store(const std::string& name, const at::Tensor& tensor) {
  if (!joiner_ || !joiner_->takes(name))
    return shards_.add(name, turned_if_needed(layout_, name, tensor));
  if (const auto whole = joiner_->add(name, tensor)) shards_.add(whole->first, whole->second);
}

void FolderWriter::add_linear(const FinishedLinear& linear) {
  written_.add(linear, [&](const LinearPlan& planned) { return pack(planned, linear); });
}

void FolderWriter::add_tensor(const std::string& name, const at::Tensor& tensor) {
  constexpr std::string_view kWeight = ".weight";
  if (tensor.dim() == 2 && name.ends_with(kWeight))
    unquantized_matrices_.insert(name.substr(0, name.size() - kWeight.size()));
  store(name, tensor);
}

void FolderWriter::add_rows(const std::string& name, const at::Tensor& matrix,
                            const QuantizeRows& quantize) {
  const int64_t rows = matrix.size(0),
                step = std::max<int64_t>(1, kWeightsAtOnce / std::max<int64_t>(1, matrix.size(1)));
  std::vector<QuantizedLinear> runs;
  for (int64_t first = 0; first < rows; first += step)
    runs.push_back(quantize(matrix.narrow(0, first, std::min(step, rows - first))));
  FinishedLinear whole{.name = name.substr(0, name.rfind('.')),
                       .quantized = joined_rows(std::move(runs)),
                       .weights = {},
                       .fingerprint = ""};
  with_context(whole.name, [&] { check_linear(whole.quantized); });
  whole.fingerprint = weight_fingerprint(whole.quantized);
  add_linear(whole);
}

void FolderWriter::finish(const nlohmann::json& report) {
  written_.require_all();
  if (joiner_) joiner_->require_whole();
  shards_.finish();
  nlohmann::json config = without_quantization(config_of(plan_, folder_));
  if (const nlohmann::json quantization = quantization_config(); !quantization.is_null())
    for (const std::string& key : quantization_keys()) config[key] = quantization;
  write_json("config.json", config);
  write_files();
  write_json("halftone.json", report);
}

void FolderWriter::write_json(const std::string& file, const nlohmann::json& content) const {
  write_file_atomically(folder_ / file, content.dump(2) + "\n");
}

}  // namespace halftone
