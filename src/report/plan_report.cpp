#include "report/plan_report.h"

#include <fmt/ranges.h>

#include <functional>
#include <numeric>

#include "report/bits_text.h"
#include "report/human.h"
#include "report/text_table.h"

namespace halftone {
namespace {

double sum(const std::vector<PlanReport::Share>& shares) {
  return std::accumulate(shares.begin(), shares.end(), 0.0,
                         [](double total, const auto& share) { return total + share.amount; });
}

// "1.2 GiB: 0.4 GiB activations, ..."; what is below a hundredth is not named.
std::string shares_text(const std::vector<PlanReport::Share>& shares,
                        const std::function<std::string(double)>& human) {
  const double all = sum(shares);
  std::string text;
  for (const PlanReport::Share& share : shares)
    if (share.amount >= all / 100)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", human(share.amount), share.of);
  return fmt::format("about {}: {}", human(all), text);
}

std::string table_of(const std::vector<PlanReport::Stored>& tensors) {
  TextTable table;
  table.add_row({"tensors", "count", "shape", "stored as", "bits", "size"});
  table.add_rule();
  for (const PlanReport::Stored& stored : tensors)
    table.add_row({stored.name, std::to_string(stored.count),
                   fmt::format("{}", fmt::join(stored.shape, " x ")), stored.as,
                   fmt::format("{:.3f}", stored.bits()), human_bytes(stored.bytes)});
  return table.text();
}

nlohmann::json shares_json(const std::vector<PlanReport::Share>& shares) {
  nlohmann::json json = nlohmann::json::object();
  for (const PlanReport::Share& share : shares) json[share.of] = share.amount;
  return json;
}

}  // namespace

double PlanReport::Stored::bits() const {
  const auto weights =
      std::accumulate(shape.begin(), shape.end(), static_cast<double>(count),
                      [](double a, int64_t b) { return a * static_cast<double>(b); });
  return 8 * bytes / weights;
}

double PlanReport::peak_bytes() const {
  return sum(memory);
}

double PlanReport::all_seconds() const {
  return sum(seconds);
}

void to_json(nlohmann::json& json, const PlanReport& plan) {
  json = {{"model", plan.model},
          {"recipe", plan.recipe},
          {"format", plan.format},
          {"parameters", plan.parameters},
          {"tokens", plan.tokens},
          {"bits_per_weight", plan.bits_per_weight},
          {"bytes", plan.bytes},
          {"peak_bytes", plan.peak_bytes()},
          {"memory", shares_json(plan.memory)},
          {"physical_memory", plan.physical_memory},
          {"seconds", plan.all_seconds()},
          {"time", shares_json(plan.seconds)},
          {"notes", plan.notes},
          {"problems", plan.problems}};
  if (plan.disk > 0) json["disk"] = {{"needed", plan.disk}, {"free", plan.free_disk}};
  for (const PlanReport::EngineAnswer& engine : plan.engines)
    json["engines"].push_back({{"name", engine.name},
                               {"version", engine.version},
                               {"loads", engine.refusal.empty()},
                               {"refusal", engine.refusal}});
  for (const PlanReport::Stored& stored : plan.tensors)
    json["tensors"].push_back({{"name", stored.name},
                               {"count", stored.count},
                               {"shape", stored.shape},
                               {"as", stored.as},
                               {"quantized", stored.quantized},
                               {"bits", stored.bits()},
                               {"bytes", stored.bytes}});
}

std::string plan_text(const PlanReport& plan) {
  std::string text = table_of(plan.tensors) + "\n";
  const auto line = [&](std::string_view name, const std::string& what) {
    text += fmt::format("{:<16} {}\n", name, what);
  };
  line("size", fmt::format("{} as {}", human_bytes(plan.bytes), plan.format));
  line("bits per weight", fmt::format("{} in the quantized linears, {:.3f} in the whole model",
                                      bits_text(plan.bits_per_weight), plan.bits_per_weight.model));
  line("memory", shares_text(plan.memory, human_bytes));
  line("time", shares_text(plan.seconds, human_duration));
  if (plan.disk > 0)
    line("disk", fmt::format("{} while it is written, {} free", human_bytes(plan.disk),
                             human_bytes(plan.free_disk)));
  for (const PlanReport::EngineAnswer& engine : plan.engines)
    line(engine.name, fmt::format("{} ({})", engine.refusal.empty() ? "loads it" : engine.refusal,
                                  engine.version));
  for (const std::string& note : plan.notes) line("note", note);
  for (const std::string& problem : plan.problems) line("problem", problem);
  return text;
}

}  // namespace halftone
