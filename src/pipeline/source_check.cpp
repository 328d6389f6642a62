#include "pipeline/source_check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "format/companions.h"

namespace halftone {
namespace {

constexpr std::string_view kWeight = ".weight";

bool all_finite(const at::Tensor& tensor) {
  // a NaN or an infinity anywhere shows in the sum, which needs no memory; only then is it looked
  // for
  return tensor.sum(at::kFloat).isfinite().item<bool>() || tensor.isfinite().all().item<bool>();
}

// "expected finite numbers, found nan at 3 (1 of 64 are none)"; empty: all are finite.
std::string not_finite_in(const at::Tensor& stored) {
  const at::Tensor tensor = as_written(stored);
  if (all_finite(tensor)) return "";
  const at::Tensor bad = tensor.isfinite().logical_not().flatten();
  const int64_t first = bad.to(at::kByte).argmax().item<int64_t>();
  return fmt::format("expected finite numbers, found {} at {} ({} of {} are none)",
                     number_text(tensor.flatten()[first].item<double>()), first,
                     bad.sum().item<int64_t>(), bad.numel());
}

// Names of the tensors that are stored as plain numbers.
std::vector<std::string> plain_tensors(const OpenedModel& opened) {
  const std::vector<std::string> packed = opened.weights->linears();
  std::vector<std::string> names;
  const auto is_packed = [&](const std::string& linear) {
    return std::binary_search(packed.begin(), packed.end(), linear);
  };
  for (const std::string& name : opened.model.other_tensors())
    if (!name.ends_with(kWeight) || !is_packed(name.substr(0, name.size() - kWeight.size())))
      names.push_back(name);
  for (const LinearSlot& linear : opened.model.linears())
    if (!is_packed(linear.name)) names.push_back(linear.name + std::string(kWeight));
  return names;
}

}  // namespace

std::string first_not_finite(const OpenedModel& opened) {
  for (const std::string& name : plain_tensors(opened)) {
    const std::string what = not_finite_in(opened.weights->load(name));
    opened.weights->release(name);
    if (!what.empty()) return fmt::format("{}: {}", name, what);
  }
  return "";
}

std::string number_text(double number) {
  return std::isnan(number) ? "nan" : fmt::format("{}", number);
}

void require_finite(const OpenedModel& opened) {
  const std::string what = first_not_finite(opened);
  require(what.empty(), "{}: {}, likely a damaged file or an overflow when it was converted",
          opened.path.string(), what);
}

at::ScalarType written_type(at::ScalarType stored) {
  return stored == at::kDouble ? at::kFloat : stored;
}

at::Tensor as_written(const at::Tensor& tensor) {
  return tensor.to(written_type(tensor.scalar_type()));
}

std::vector<std::string> output_notes(const OpenedModel& opened) {
  std::vector<std::string> notes = opened.notes();
  const std::vector<std::string> names = plain_tensors(opened);
  const auto wide = std::count_if(names.begin(), names.end(), [&](const std::string& name) {
    return opened.weights->info(name).dtype == at::kDouble;
  });
  if (wide > 0)
    notes.push_back(fmt::format(
        "{} of {} tensors are float64, which no format holds: they are taken as float32", wide,
        names.size()));
  const auto folder = opened.weights->source().companion_folder();
  if (!folder)
    notes.push_back(
        fmt::format("{}: the tokenizer lies in the file itself and is not written into the output",
                    opened.path.string()));
  for (const std::string& companion :
       folder ? find_companions(*folder).missing : std::vector<std::string>{})
    notes.push_back(fmt::format("{}: not copied", companion));
  return notes;
}

}  // namespace halftone
