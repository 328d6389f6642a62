#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/bits_text.h"
#include "report/human.h"
#include "report/metric.h"
#include "report/quantize_report.h"
#include "report/quantize_totals.h"
#include "report/text_table.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

std::string size_text(const Json& report) {
  return fmt::format("{}, format {}", human_bytes(find_metric(report, "bytes").value_or(0)),
                     find_text(report, "format"));
}

std::string all_bits_text(const Json& report) {
  return fmt::format("{} in {} quantized linears, {:.3f} in the whole model", bits_text(report),
                     linears_of(report).size(),
                     find_metric(report, "bits_per_weight.model").value_or(0));
}

std::string read_back_text(const Json& report) {
  const bool verified = report.value("verified", false);
  if (verified && !report.contains("seconds")) return "ok when it was written";
  return verified ? "ok: every weight in the files is bit for bit what was calibrated"
                  : "FAILED: the files do not hold what was calibrated";
}

// Mean and worst relative error. NaN would compare false everywhere, so it counts as the worst.
std::string error_text(const Json& report) {
  double sum = 0, worst = -1;
  std::string where;
  for (const Json& linear : linears_of(report)) {
    const double error = find_metric(linear, "relative_error").value_or(0);
    sum += error;
    if (error <= worst) continue;
    worst = error;
    where = find_text(linear, "name");
  }
  const auto count = static_cast<double>(linears_of(report).size());
  return count == 0 ? "no linears"
                    : fmt::format("mean {:.3g}, worst {:.3g} in {}", sum / count, worst, where);
}

// How far the weights' own distribution moved, mean over the linears.
std::string divergence_text(const Json& report) {
  double sum = 0;
  for (const Json& linear : linears_of(report))
    sum += find_metric(linear, "weight_divergence").value_or(0);
  const auto count = static_cast<double>(linears_of(report).size());
  if (count == 0) return "no linears";
  return fmt::format("mean {:.3g} between the histograms of the weights", sum / count);
}

// Least, mean and greatest share of a linear; "" without outliers.
std::string outlier_text(const Json& report) {
  double sum = 0, least = 1, most = 0;
  for (const Json& linear : linears_of(report)) {
    const double share = find_metric(linear, "outliers").value_or(0);
    sum += share;
    least = std::min(least, share);
    most = std::max(most, share);
  }
  if (most == 0) return "";
  return fmt::format("{:.2f} % of a linear's weights on average, {:.2f} % to {:.2f} %",
                     100 * sum / static_cast<double>(linears_of(report).size()), 100 * least,
                     100 * most);
}

// Losses over those of rounding to nearest, geometric mean and worst; "" where nothing is compared.
std::string rounding_text(const Json& report) {
  double logarithms = 0, worst = 0;
  int64_t count = 0;
  std::string where;
  for (const Json& linear : linears_of(report)) {
    const double ratio = find_metric(linear, "loss_ratio_to_rtn").value_or(0);
    if (!(ratio > 0)) continue;
    logarithms += std::log(ratio);
    ++count;
    if (ratio <= worst) continue;
    worst = ratio;
    where = find_text(linear, "name");
  }
  if (count == 0) return "";
  return fmt::format("{:.3f} of rounding to nearest (geometric mean), worst {:.3f} in {}",
                     std::exp(logarithms / static_cast<double>(count)), worst, where);
}

// How many linears target.auto gave each target; "" without it.
std::string target_text(const Json& report) {
  std::map<std::string, int64_t> counts;
  for (const Json& linear : linears_of(report)) {
    const std::string chosen = find_text(linear, "target.chosen");
    if (!chosen.empty()) ++counts[chosen];
  }
  std::string text;
  for (const auto& [target, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", count, target);
  return text;
}

std::string fallback_text(const Json& report) {
  int64_t count = 0;
  std::string first;
  for (const Json& linear : linears_of(report)) {
    const std::string fallback = find_text(linear, "fallback");
    if (fallback.empty() || count++ > 0) continue;
    first = find_text(linear, "name") + ": " + fallback;
  }
  return count == 0 ? "none"
                    : fmt::format("{} of {} linears, the first {}", count,
                                  linears_of(report).size(), first);
}

std::string calibration_text(const Json& report) {
  const auto sequences = find_metric(report, "calibration.sequences");
  if (!sequences) return "none";
  return fmt::format("{}, {:.0f} sequences of {:.0f} tokens, seed {:.0f}, compute {}",
                     find_text(report, "calibration.text"), *sequences,
                     find_metric(report, "calibration.length").value_or(0),
                     find_metric(report, "calibration.seed").value_or(0),
                     find_text(report, "compute"));
}

std::string time_text(const Json& report) {
  const auto seconds = find_metric(report, "seconds");
  if (!seconds) return "nothing: this output was finished before";
  std::string text = fmt::format("{}, peak memory {}", human_duration(*seconds),
                                 human_bytes(find_metric(report, "peak_rss_bytes").value_or(0)));
  if (const auto resumed = find_metric(report, "resumed_linears"))
    text += fmt::format("; {:.0f} linears taken over from the run before", *resumed);
  return text;
}

}  // namespace

const Json& linears_of(const Json& report) {
  static const Json none = Json::array();
  const auto linears = report.find("linears");
  return linears != report.end() && linears->is_array() ? *linears : none;
}

std::vector<std::pair<std::string, std::string>> quantize_totals(const Json& report) {
  std::vector<std::pair<std::string, std::string>> totals = {
      {"recipe", find_text(report, "recipe.name")},
      {"calibration", calibration_text(report)},
      {"size", size_text(report)},
      {"bits per weight", all_bits_text(report)},
      {"outliers", outlier_text(report)},
      {"targets chosen", target_text(report)},
      {"relative error", error_text(report)},
      {"loss", rounding_text(report)},
      {"weight KL", divergence_text(report)},
      {"fallbacks", fallback_text(report)},
      {"read back", read_back_text(report)},
      {"caution", find_text(report, "caution")},
      {"took", time_text(report)}};
  for (const std::string& note : notes_in(report)) totals.insert(totals.end() - 1, {"note", note});
  std::erase_if(totals, [](const auto& row) { return row.second.empty(); });
  return totals;
}

std::string quantize_text(const Json& report) {
  TextTable table(TextTable::Align::kLeft);
  for (const auto& [label, text] : quantize_totals(report)) table.add_row({label, text});
  return table.text();
}

}  // namespace halftone
