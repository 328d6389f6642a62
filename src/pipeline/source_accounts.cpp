#include "pipeline/source_accounts.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "format/companions.h"

namespace halftone {
namespace {

constexpr double kCoarse = 0.1;  // of a tensor in another type
constexpr double kZeros = 1;     // the relative error of a weight that is all zeros

double relative_error(const at::Tensor& is, const at::Tensor& should_be) {
  const at::Tensor expected = should_be.to(at::kFloat);
  const double error = (is.to(at::kFloat) - expected).square().sum(at::kDouble).item<double>();
  return error == 0 ? 0 : error / expected.square().sum(at::kDouble).item<double>();
}

void require_shape(const std::string& name, const OpenedModel& output, const OpenedModel& source) {
  require(output.weights->contains(name), "{}: is not in the output", name);
  const auto is = output.weights->info(name).shape, should_be = source.weights->info(name).shape;
  require(is == should_be, "{}: expected the shape [{}], found [{}]", name,
          fmt::join(should_be, ", "), fmt::join(is, ", "));
}

// How a tensor's numbers have fared.
enum class Fate { kSame, kCoarser, kRotated };

Fate fate_of(const std::string& name, const OpenedModel& output, const OpenedModel& source,
             bool rotated) {
  require_shape(name, output, source);
  if (rotated) return Fate::kRotated;
  const at::Tensor is = output.weights->load(name), should_be = source.weights->load(name);
  const double error = relative_error(is, should_be);
  output.weights->release(name);
  source.weights->release(name);
  if (error == 0) return Fate::kSame;
  if (output.weights->is_packed(name)) {
    require(error < kZeros, "{}: further from the source's numbers than zeros are, by {:.3g}", name,
            error);
    return Fate::kCoarser;
  }
  const std::string type = output.weights->source().stored_info(name).dtype,
                    before = source.weights->source().stored_info(name).dtype;
  require(type != before && error < kCoarse,
          "{}: expected the source's numbers, found others ({}, relative error {:.3g})", name, type,
          error);
  return Fate::kCoarser;
}

}  // namespace

std::string account_tensors(const OpenedModel& output, const OpenedModel& source, bool rotated) {
  require(output.model.config().architecture == source.model.config().architecture,
          "expected {}, found {}", source.model.config().architecture,
          output.model.config().architecture);
  int64_t same = 0, coarser = 0, turned = 0;
  for (const std::string& name : source.model.other_tensors()) {
    const Fate fate = fate_of(name, output, source, rotated);
    (fate == Fate::kSame ? same : fate == Fate::kCoarser ? coarser : turned) += 1;
  }
  for (const LinearSlot& slot : source.model.linears())
    require_shape(slot.name + ".weight", output, source);
  std::string text = fmt::format("{} linears", source.model.linears().size());
  if (same > 0) text += fmt::format(", {} other tensors as they were", same);
  if (coarser > 0) text += fmt::format(", {} in a coarser type", coarser);
  if (turned > 0) text += fmt::format(", {} rotated", turned);
  return text;
}

std::string account_linears(const OpenedModel& output, const OpenedModel& source,
                            Progress& progress, nlohmann::json& rows) {
  rows = nlohmann::json::array();
  progress.begin("compare weights", static_cast<int64_t>(source.model.linears().size()));
  double sum = 0, worst = -1;
  std::string where;
  for (const LinearSlot& slot : source.model.linears()) {
    const std::string name = slot.name + ".weight";
    const double error = relative_error(output.weights->load(name), source.weights->load(name));
    output.weights->release(name);
    source.weights->release(name);
    rows.push_back({{"name", slot.name}, {"relative_error", error}});
    progress.update(static_cast<int64_t>(rows.size()), slot.name);
    sum += error;
    if (error <= worst) continue;
    worst = error;
    where = slot.name;
  }
  progress.end();
  require(worst < kZeros, "{}: further from the source's weights than zeros are, by {:.3g}", where,
          worst);
  return fmt::format("relative error mean {:.3g}, worst {:.3g} in {}",
                     sum / static_cast<double>(rows.size()), worst, where);
}

std::string account_companions(const OpenedModel& output, const OpenedModel& source) {
  const auto to = output.weights->source().companion_folder(),
             from = source.weights->source().companion_folder();
  if (!to || !from) return "none: of a file, which holds its tokenizer itself";
  const Companions companions = find_companions(*from);
  for (const std::filesystem::path& file : companions.files) {
    require(is_there(*to / file), "{}: is not in the output", file.string());
    require(MappedFile(*to / file).text() == MappedFile(*from / file).text(),
            "{}: expected the source's, found another", file.string());
  }
  return fmt::format("{} files as they were", companions.files.size());
}

}  // namespace halftone
