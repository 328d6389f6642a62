#include "report/llama_block.h"

#include <fmt/format.h>

#include <cmath>
#include <initializer_list>
#include <utility>

#include "report/metric.h"

namespace halftone {
namespace {

using Json = nlohmann::json;
using Rows = std::initializer_list<std::pair<const char*, const char*>>;  // label, metric

double number(const Json& json, const std::string& name) {
  return find_metric(json, "llama." + name).value_or(NAN);
}

std::string estimate_row(const Json& json, const char* label, const std::string& name) {
  return fmt::format("{:<30}: {:10.6f} ± {:10.6f}\n", label, number(json, name + ".value"),
                     number(json, name + ".stderr"));
}

std::string perplexity_part(const Json& json) {
  return "====== Perplexity statistics ======\n" + estimate_row(json, "Mean PPL(Q)", "perplexity") +
         estimate_row(json, "Mean PPL(base)", "base_perplexity") +
         fmt::format("{:<30}: {:6.2f}%\n", "Cor(ln(PPL(Q)), ln(PPL(base)))",
                     100 * number(json, "correlation")) +
         estimate_row(json, "Mean ln(PPL(Q)/PPL(base))", "log_ratio") +
         estimate_row(json, "Mean PPL(Q)/PPL(base)", "ratio") +
         estimate_row(json, "Mean PPL(Q)-PPL(base)", "difference");
}

std::string divergence_part(const Json& json) {
  std::string text =
      fmt::format("\n====== KL divergence statistics ======\nMean    KLD: {:10.6f} ± {:10.6f}\n",
                  number(json, "kl.mean"), number(json, "kl.stderr"));
  for (const auto& [label, name] : Rows{{"Maximum", "max"},
                                        {"99.9%  ", "p999"},
                                        {"99.0%  ", "p99"},
                                        {"95.0%  ", "p95"},
                                        {"90.0%  ", "p90"},
                                        {"Median ", "median"},
                                        {"10.0%  ", "p10"},
                                        {" 5.0%  ", "p05"},
                                        {" 1.0%  ", "p01"},
                                        {" 0.1%  ", "p001"},
                                        {"Minimum", "min"}})
    text += fmt::format("{} KLD: {:10.6f}\n", label, number(json, fmt::format("kl.{}", name)));
  return text;
}

std::string probability_part(const Json& json) {
  const auto percent = [&](const std::string& name) { return 100 * number(json, name); };
  std::string text =
      fmt::format("\n====== Token probability statistics ======\nMean    Δp: {:6.3f} ± {:5.3f} %\n",
                  percent("probability_change.mean"), percent("probability_change.stderr"));
  for (const auto& [label, name] : Rows{{"Maximum", "max"},
                                        {"99.9%  ", "p999"},
                                        {"99.0%  ", "p99"},
                                        {"95.0%  ", "p95"},
                                        {"90.0%  ", "p90"},
                                        {"75.0%  ", "p75"},
                                        {"Median ", "median"},
                                        {"25.0%  ", "p25"},
                                        {"10.0%  ", "p10"},
                                        {" 5.0%  ", "p05"},
                                        {" 1.0%  ", "p01"},
                                        {" 0.1%  ", "p001"},
                                        {"Minimum", "min"}})
    text += fmt::format("{} Δp: {:6.3f}%\n", label,
                        percent(fmt::format("probability_change.{}", name)));
  return text + fmt::format("RMS Δp    : {:6.3f} ± {:5.3f} %\nSame top p: {:6.3f} ± {:5.3f} %\n",
                            percent("probability_change_rms.value"),
                            percent("probability_change_rms.stderr"), percent("top1.value"),
                            percent("top1.stderr"));
}

}  // namespace

std::string llama_block(const Json& evaluation) {
  if (!evaluation.contains("llama")) return "";
  return perplexity_part(evaluation) + divergence_part(evaluation) + probability_part(evaluation);
}

}  // namespace halftone
