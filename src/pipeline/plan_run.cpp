#include "pipeline/plan_run.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/files.h"
#include "base/memory.h"
#include "format/engines.h"
#include "format/gguf_blocks.h"
#include "format/gguf_output.h"
#include "pipeline/output.h"
#include "pipeline/output_plan.h"
#include "pipeline/quantize_job.h"
#include "pipeline/run_costs.h"
#include "pipeline/stored_sizes.h"
#include "report/human.h"

namespace halftone {
namespace {

using Stored = PlanReport::Stored;

// "3 bits, groups of 64"; of a file of blocks their type.
std::string stored_as(const Format& format, const LinearPlan& linear) {
  if (format.kind == PendingOutput::Kind::kFile) return std::string(gguf_type_of(linear)->name);
  const StoredGrid& grid = linear.grid;
  const std::string groups =
      grid.group_size == 0 ? "a group a row" : fmt::format("groups of {}", grid.group_size);
  return fmt::format("{} {}, {}{}", grid.bits, grid.bits == 1 ? "bit" : "bits", groups,
                     grid.outliers ? ", outliers" : std::string_view());
}

// Experts are one.
std::string name_in_plan(const LinearSlot& linear) {
  const std::string number = fmt::format(".{}.", linear.expert);
  const size_t at = linear.expert < 0 ? std::string::npos : linear.relative.find(number);
  if (at == std::string::npos) return linear.relative;
  return std::string(linear.relative).replace(at, number.size(), ".*.");
}

std::vector<Stored> linears_of(const QuantizeJob& job, const Format& format,
                               const OutputPlan& plan) {
  const std::vector<double> bytes = stored_sizes(format, plan, job.recipe());
  std::map<std::tuple<std::string, int64_t, int64_t, std::string>, size_t> known;
  std::map<std::string, size_t> place_of_name;  // by which rows of one name stand together
  std::vector<Stored> found;
  for (size_t i = 0; i < plan.linears.size(); ++i) {
    const LinearPlan& linear = plan.linears[i];
    const std::string as = stored_as(format, linear), name = name_in_plan(job.model().linears()[i]);
    place_of_name.emplace(name, place_of_name.size());
    const auto [place, is_new] = known.try_emplace({name, linear.out, linear.in, as}, found.size());
    if (is_new)
      found.push_back(
          {.name = name, .shape = {linear.out, linear.in}, .as = as, .quantized = true});
    found[place->second].count += 1;
    found[place->second].bytes += bytes[i];
  }
  std::ranges::stable_sort(found, {},
                           [&](const Stored& each) { return place_of_name.at(each.name); });
  return found;
}

// The others by their type; norms and biases, which are many and small, together.
std::vector<Stored> others_of(const Format& format, const OutputPlan& plan) {
  std::vector<Stored> found;
  std::map<std::string, Stored> vectors;
  for (const PlannedTensor& tensor : plan.others) {
    Stored stored{.name = tensor.name,
                  .count = 1,
                  .shape = tensor.shape,
                  .as = plan.gguf     ? std::string(gguf_type_of(plan, tensor).name)
                        : tensor.grid ? stored_as(format, plan.on_grid(tensor))
                                      : dtype_name(tensor.dtype),
                  .quantized = tensor.quantized,
                  .bytes = stored_bytes(format.name, plan, tensor)};
    if (tensor.shape.size() > 1) {
      found.push_back(stored);
      continue;
    }
    Stored& all =
        vectors.try_emplace(stored.as, Stored{"norms and biases", 1, {0}, stored.as}).first->second;
    all.shape[0] += tensor.shape.empty() ? 1 : tensor.shape[0];
    all.bytes += stored.bytes;
  }
  for (const auto& [as, stored] : vectors) found.push_back(stored);
  return found;
}

// linears: the first ones of the tensors, which alone count as quantized
void add_totals(size_t linears, PlanReport& report) {
  double linear_bytes = 0, weights = 0;
  for (size_t i = 0; i < report.tensors.size(); ++i) {
    const Stored& stored = report.tensors[i];
    report.bytes += stored.bytes;
    if (i >= linears) continue;
    linear_bytes += stored.bytes;
    weights += 8 * stored.bytes / stored.bits();
  }
  const double bits = 8 * linear_bytes / weights;
  report.bits_per_weight = {.quantized = bits,
                            .quoted = bits,
                            .model = 8 * report.bytes / static_cast<double>(report.parameters)};
}

void find_problems(const QuantizeJob& job, PlanReport& report) {
  const double peak = report.peak_bytes();
  if (!job.execution().device.is_cpu())
    report.notes.emplace_back("memory and time are planned for the processor, not the device");
  if (peak > report.physical_memory)
    report.problems.push_back(
        fmt::format("{} of memory are needed, the machine has {}: fewer --sequences, or a shorter "
                    "--length",
                    human_bytes(peak), human_bytes(report.physical_memory)));
  if (!job.request().out.empty() && report.disk > report.free_disk)
    report.problems.push_back(fmt::format("{} of disk are needed, {} are free: another --out",
                                          human_bytes(report.disk), human_bytes(report.free_disk)));
  if (std::ranges::none_of(report.engines, [](const auto& each) { return each.refusal.empty(); }))
    report.problems.push_back(fmt::format(
        "no engine but this program loads {} outputs: `halftone convert --format dense` "
        "makes a folder of plain weights of one",
        report.format));
  if (job.recipe().any(
          [](const LinearRecipe& linear) { return linear.objective.needs_sequences(); }) &&
      job.request().calibration.empty() && !job.request().imatrix)
    report.notes.emplace_back(
        job.model().config().reads_images()
            ? "calibrates on images: the run needs --calibration IMAGES"
            : "calibrates on the text that comes with the program, which may hold "
              "fewer windows than were asked for");
}

}  // namespace

PlanReport plan_run(const QuantizeRequest& request) {
  const QuantizeJob job(request, Look::kHeaders);
  const OutputPlan plan = job.output_plan();
  const Format& format = choose_format(job.request().format, plan);
  PlanReport report{.model = request.model.string(),
                    .recipe = job.request().recipe.name,
                    .format = format.name,
                    .parameters = job.model().parameters(),
                    .tokens = calibration_tokens(job),
                    .tensors = linears_of(job, format, plan)};
  const size_t linears = report.tensors.size();
  for (Stored& other : others_of(format, plan)) report.tensors.push_back(std::move(other));
  add_totals(linears, report);
  report.memory = memory_of_run(job);
  report.physical_memory = static_cast<double>(physical_memory_bytes());
  report.seconds = time_of_run(job);
  if (!request.out.empty()) {
    report.disk = static_cast<double>(bytes_on_disk(report.bytes));
    report.free_disk = static_cast<double>(free_disk_bytes(request.out));
  }
  for (const Engine& engine : engines())
    report.engines.push_back(
        {std::string(engine.name), std::string(engine.version), engine.refusal(format, plan)});
  report.notes = job.notes();
  find_problems(job, report);
  return report;
}

}  // namespace halftone
