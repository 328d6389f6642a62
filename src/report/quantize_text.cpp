#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/bits_text.h"
#include "report/human.h"
#include "report/quantize_report.h"
#include "report/quantize_totals.h"
#include "report/text_table.h"

namespace halftone {
namespace {

std::string size_text(const RunReport& report) {
  const size_t bytes = report.written ? report.written->bytes : 0;
  return fmt::format("{}, format {}", human_bytes(static_cast<double>(bytes)), report.format);
}

std::string all_bits_text(const RunReport& report) {
  if (!report.written) return "";
  const BitsPerWeight& bits = report.written->bits_per_weight;
  return fmt::format("{} in {} quantized linears, {:.3f} in the whole model", bits_text(bits),
                     report.linears.size(), bits.model);
}

std::string read_back_text(const RunReport& report) {
  if (!report.verified()) return "FAILED: the files do not hold what was calibrated";
  return report.seconds ? "ok: every weight in the files is bit for bit what was calibrated"
                        : "ok when it was written";
}

// Mean and worst relative error. NaN would compare false everywhere, so it counts as the worst.
std::string error_text(const RunReport& report) {
  double sum = 0, worst = -1;
  std::string where;
  for (const LinearRow& linear : report.linears) {
    const double error = linear.relative_error;
    sum += error;
    if (error <= worst) continue;
    worst = error;
    where = linear.name;
  }
  const auto count = static_cast<double>(report.linears.size());
  return count == 0 ? "no linears"
                    : fmt::format("mean {:.3g}, worst {:.3g} in {}", sum / count, worst, where);
}

// How far the weights' own distribution moved, mean over the linears.
std::string divergence_text(const RunReport& report) {
  double sum = 0;
  for (const LinearRow& linear : report.linears) sum += linear.weight_divergence;
  const auto count = static_cast<double>(report.linears.size());
  if (count == 0) return "no linears";
  return fmt::format("mean {:.3g} between the histograms of the weights", sum / count);
}

// Least, mean and greatest share of a linear; "" without outliers.
std::string outlier_text(const RunReport& report) {
  double sum = 0, least = 1, most = 0;
  for (const LinearRow& linear : report.linears) {
    const double share = linear.outliers;
    sum += share;
    least = std::min(least, share);
    most = std::max(most, share);
  }
  if (most == 0) return "";
  return fmt::format("{:.2f} % of a linear's weights on average, {:.2f} % to {:.2f} %",
                     100 * sum / static_cast<double>(report.linears.size()), 100 * least,
                     100 * most);
}

// Losses over those of rounding to nearest, geometric mean and worst; "" where nothing is compared.
std::string rounding_text(const RunReport& report) {
  double logarithms = 0, worst = 0;
  int64_t count = 0;
  std::string where;
  for (const LinearRow& linear : report.linears) {
    const double ratio = linear.loss_ratio_to_rtn.value_or(0);
    if (!(ratio > 0)) continue;
    logarithms += std::log(ratio);
    ++count;
    if (ratio <= worst) continue;
    worst = ratio;
    where = linear.name;
  }
  if (count == 0) return "";
  return fmt::format("{:.3f} of rounding to nearest (geometric mean), worst {:.3f} in {}",
                     std::exp(logarithms / static_cast<double>(count)), worst, where);
}

// Of a head that was quantized by an objective; "" without.
std::string head_text(const RunReport& report) {
  if (!report.head) return "";
  return fmt::format("{}: {:.2f} bits, relative error {:.3g}, {:.3f} of rounding to nearest",
                     report.head->name, report.head->bits_per_weight, report.head->relative_error,
                     report.head->loss_ratio_to_rtn.value_or(0));
}

// How many linears target.auto gave each target; "" without it.
std::string target_text(const RunReport& report) {
  std::map<std::string, int64_t> counts;
  for (const LinearRow& linear : report.linears) {
    if (linear.target && !linear.target->chosen.empty()) ++counts[linear.target->chosen];
  }
  std::string text;
  for (const auto& [target, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", count, target);
  return text;
}

std::string fallback_text(const RunReport& report) {
  int64_t count = 0;
  std::string first;
  for (const LinearRow& linear : report.linears) {
    const std::string fallback = linear.fallback;
    if (fallback.empty() || count++ > 0) continue;
    first = linear.name + ": " + fallback;
  }
  return count == 0
             ? "none"
             : fmt::format("{} of {} linears, the first {}", count, report.linears.size(), first);
}

// "wiki.txt", or of several texts "chat.jsonl (96), code.txt (32)".
std::string names_of(const std::vector<CalibrationText>& texts) {
  if (texts.size() == 1) return texts.front().text;
  std::string names;
  for (const CalibrationText& text : texts)
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", text.text, text.sequences);
  return names;
}

std::string calibration_text(const RunReport& report) {
  if (const std::string& file = report.identity.imatrix_sha256; !file.empty())
    return fmt::format("none, importances of a file (SHA-256 {})", file.substr(0, 12));
  if (!report.identity.calibration) return "none";
  const CalibrationIdentity& calibration = *report.identity.calibration;
  return fmt::format("{}, {} sequences of {} tokens, seed {}, compute {}",
                     names_of(calibration.texts), calibration.sequences, calibration.length,
                     calibration.seed, report.identity.compute.value_or(""));
}

std::string time_text(const RunReport& report) {
  if (!report.seconds) return "nothing: this output was finished before";
  std::string text = fmt::format("{}, peak memory {} (planned {})", human_duration(*report.seconds),
                                 human_bytes(static_cast<double>(report.peak_rss_bytes)),
                                 human_bytes(static_cast<double>(report.planned_peak_bytes)));
  if (report.resumed_linears > 0)
    text += fmt::format("; {} linears taken over from the run before", report.resumed_linears);
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> quantize_totals(const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> totals = {
      {"recipe", report.identity.recipe_name},
      {"calibration", calibration_text(report)},
      {"size", size_text(report)},
      {"bits per weight", all_bits_text(report)},
      {"outliers", outlier_text(report)},
      {"targets chosen", target_text(report)},
      {"relative error", error_text(report)},
      {"loss", rounding_text(report)},
      {"head", head_text(report)},
      {"weight KL", divergence_text(report)},
      {"fallbacks", fallback_text(report)},
      {"read back", read_back_text(report)},
      {"caution", report.written ? report.written->caution : ""},
      {"took", time_text(report)}};
  if (report.check)
    for (auto& row : self_check_rows(*report.check))
      totals.insert(totals.end() - 1, std::move(row));
  for (const std::string& note : report.notes) totals.insert(totals.end() - 1, {"note", note});
  std::erase_if(totals, [](const auto& row) { return row.second.empty(); });
  return totals;
}

std::string quantize_text(const RunReport& report) {
  TextTable table(TextTable::Align::kLeft);
  for (const auto& [label, text] : quantize_totals(report)) table.add_row({label, text});
  return table.text();
}

}  // namespace halftone
