#include "format/format.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "format/detect.h"
#include "format/format_entries.h"
#include "format/format_names.h"

namespace halftone {
namespace {

[[noreturn]] void refuse_unknown(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const Format& format : formats()) names.push_back(format.name);
  const QuantizationConfig config = find_quantization(checkpoint);
  fail("{}: expected one of {}, found {}", config.place, fmt::join(names, ", "),
       printable(quantization_method(config)));
}

}  // namespace

std::vector<LinearPlan> OutputPlan::on_grids() const {
  std::vector<LinearPlan> all = linears;
  for (const PlannedTensor& tensor : others)
    if (tensor.grid) all.push_back(on_grid(tensor));
  return all;
}

LinearPlan OutputPlan::on_grid(const PlannedTensor& tensor) {
  return {.name = tensor.name.substr(0, tensor.name.rfind('.')),
          .out = tensor.shape[0],
          .in = tensor.shape[1],
          .grid = *tensor.grid};
}

bool PackedModel::is_packed(std::string_view weight) const {
  return std::ranges::binary_search(linears(), weight.substr(0, weight.rfind('.')));
}

const std::vector<Format>& formats() {
  static const std::vector<Format> list = {compressed_tensors_format(),
                                           gptq_format(),
                                           gptq_v2_format(),
                                           awq_format(),
                                           mlx_format(),
                                           gguf_format(),
                                           native_format(),
                                           dense_format()};
  return list;
}

std::string format_names() {
  std::string list;
  const std::vector<Format>& all = formats();
  for (size_t i = 0; i < all.size(); ++i)
    list += (i == 0 ? "" : i + 1 < all.size() ? ", " : " or ") + all[i].name;
  return list;
}

const Format& find_format(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& format : formats()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  fail("unknown format '{}'; known: {}", printable(name), fmt::join(names, ", "));
}

const Format& default_format(const OutputPlan& plan) {
  std::string refusals;
  for (const Format& format : formats()) {
    const std::string refusal = format.refusal(plan);
    if (refusal.empty() && !format.only_on_request(plan)) return format;
    if (!refusal.empty()) refusals += fmt::format("; {}: {}", format.name, refusal);
  }
  fail("no format holds this model{}", refusals);
}

std::unique_ptr<PackedModel> open_model(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error))
    for (const Format& format : formats())
      if (format.open_file != nullptr)
        if (auto model = format.open_file(path)) return model;
  const auto checkpoint = std::make_shared<const Checkpoint>(path);  // refuses any other file
  for (const Format& format : formats())
    if (auto model = format.open_reader(checkpoint)) return model;
  refuse_unknown(*checkpoint);
}

}  // namespace halftone
