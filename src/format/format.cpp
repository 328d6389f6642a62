#include "format/format.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "format/detect.h"
#include "format/format_entries.h"
#include "format/linear_check.h"

namespace halftone {
namespace {

// Least number of significant bits that holds every scale, -1 for more than float16 has.
int scale_bits_of(const at::Tensor& scales) {
  const auto [mantissas, exponents] = at::frexp(scales);
  for (int bits = 1; bits <= 11; ++bits) {
    const at::Tensor shifted = mantissas * static_cast<double>(1 << bits);
    if (at::equal(shifted, shifted.round())) return bits;
  }
  return 0;
}

[[noreturn]] void refuse_unknown(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const Format& format : formats()) names.push_back(format.name);
  const QuantizationConfig config = find_quantization(checkpoint);
  fail("{}: expected one of {}, found {}", config.place, fmt::join(names, ", "),
       printable(quantization_method(config)));
}

}  // namespace

LinearPlan plan_of(const std::string& name, const QuantizedLinear& linear) {
  LinearPlan plan{.name = name, .out = linear.out(), .in = linear.in(), .recipe = {}};
  GridOptions& grid = plan.recipe.grid;
  grid.bits = linear.bits;
  grid.group_size = linear.groups() == 1 ? 0 : linear.group_size;
  grid.symmetric = linear.symmetric;
  if (linear.binary) {
    grid.kind = GridKind::kBinary;
    grid.bits = 1;
  } else if (linear.bilevel) {
    grid.kind = GridKind::kBilevel;
    grid.run_size = linear.bilevel->run_size;
    grid.scale_code_bits = linear.bilevel->scales.bits;
    grid.round_zero = !linear.symmetric && !linear.bilevel->zeros;
    grid.zero_code_bits = linear.bilevel->zeros ? linear.bilevel->zeros->bits : linear.bits;
  } else {
    grid.zero_min = linear.zeros.min().item<int>();
    grid.scale_bits = scale_bits_of(linear.scales);
  }
  if (linear.split) {
    grid.kind = GridKind::kSplit;
    if (linear.split->sign_magnitude) grid.outlier_codes = OutlierCodes::kSignMagnitude;
    plan.recipe.outliers = {.kind = OutlierKind::kLasso, .rate = outlier_share(linear)};
  }
  if (linear.outliers) plan.recipe.outliers.kind = OutlierKind::kSensitivity;
  if (linear.group_of_column.defined())
    plan.recipe.order = {.kind = OrderKind::kActivation, .static_groups = false};
  return plan;
}

const std::vector<Format>& formats() {
  static const std::vector<Format> list = {compressed_tensors_format(), gptq_format(),
                                           gptq_v2_format(), native_format(), dense_format()};
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

std::unique_ptr<PackedModel> open_model(const std::filesystem::path& folder) {
  const auto checkpoint = std::make_shared<const Checkpoint>(folder);
  for (const Format& format : formats())
    if (auto model = format.open_reader(checkpoint)) return model;
  refuse_unknown(*checkpoint);
}

}  // namespace halftone
