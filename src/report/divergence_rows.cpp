#include "report/divergence_rows.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "report/human.h"
#include "report/metric.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

std::string plain(const Json& json, std::string_view name) {
  const auto number = find_metric(json, name);
  return number ? fmt::format("{:.4g}", *number) : "-";
}

std::string estimate(const Json& json, const std::string& name, const char* value) {
  const auto number = find_metric(json, name + "." + value);
  return number ? human_estimate(*number, find_metric(json, name + ".stderr")) : "-";
}

std::string top1(const Json& json) {
  const auto value = find_metric(json, "top1.value");
  return value ? human_share(*value, find_metric(json, "top1.stderr")) : "-";
}

std::string range(std::optional<double> low, std::optional<double> high) {
  if (!low || !high || !std::isfinite(*low) || !std::isfinite(*high)) return "-";
  return fmt::format("{:.4g} to {:.4g}", *low, *high);
}

std::string in_brackets(const std::string& range) {
  return range == "-" ? "" : fmt::format(" (95 %: {})", range);
}

std::string noise_floor(const Json& json) {
  const auto floor = find_metric(json, "noise_floor.kl");
  if (!floor) return "";
  return fmt::format("; noise floor {:.2g} (the reference in bfloat16 against float32)", *floor);
}

// "0.9 to 0.99: KL 0.01, same top token 99.10 %, 512 positions"
std::string bucket_text(const Json& bucket) {
  const auto top = find_metric(bucket, "top1");
  return fmt::format("KL {}, same top token {}, {} positions", plain(bucket, "kl"),
                     top ? human_share(*top, std::nullopt) : "-", plain(bucket, "positions"));
}

void add_confidence_rows(const Json& json, TextTable& table) {
  if (!json.contains("by_confidence")) return;
  for (const Json& bucket : json.at("by_confidence"))
    if (find_metric(bucket, "positions").value_or(0) > 0)
      table.add_row({fmt::format("  sure {} to {}", plain(bucket, "from"), plain(bucket, "to")),
                     bucket_text(bucket)});
}

std::string name_of_file(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace

std::string range_text(const Json& json, const std::string& name) {
  return range(find_metric(json, name + ".low"), find_metric(json, name + ".high"));
}

std::string interval_text(const Json& json, const std::string& name) {
  return in_brackets(range_text(json, name));
}

void add_divergence_rows(const Json& json, TextTable& table) {
  table.add_row({"KL divergence", estimate(json, "kl", "mean") + " nats a token" +
                                      interval_text(json, "kl") + noise_floor(json)});
  table.add_row({"  quantiles", fmt::format("median {}, p99 {}, p99.9 {}, max {}",
                                            plain(json, "kl.median"), plain(json, "kl.p99"),
                                            plain(json, "kl.p999"), plain(json, "kl.max"))});
  if (find_metric(json, "reverse_kl.mean"))
    table.add_row({"  the other way", estimate(json, "reverse_kl", "mean") + " nats a token" +
                                          interval_text(json, "reverse_kl")});
  add_confidence_rows(json, table);
  table.add_row({"same top token", top1(json) + interval_text(json, "top1")});
}

std::string texts_table(const Json& json) {
  if (!json.contains("texts")) return "";
  TextTable table;
  table.add_row({"text", "windows", "perplexity", "KL", "95 %", "same top token"});
  table.add_rule();
  for (const Json& text : json.at("texts")) {
    table.add_row({name_of_file(find_text(text, "text")), plain(text, "windows"),
                   estimate(text, "perplexity", "value"), estimate(text, "kl", "mean"),
                   range_text(text, "kl"), top1(text)});
  }
  const std::string worst = worst_text(json);
  return table.text() + (worst.empty() ? "" : worst + "\n");
}

std::string worst_text(const Json& json) {
  const auto worst = find_metric(json, "groups.worst");
  if (!worst) return "";
  return fmt::format("KL of the worst text {:.4g}{}, {}: {:.3g} above the mean of {} texts, {:.4g}",
                     *worst,
                     in_brackets(range(find_metric(json, "groups.worst_low"),
                                       find_metric(json, "groups.worst_high"))),
                     name_of_file(find_text(json, "groups.worst_text")),
                     find_metric(json, "groups.gap").value_or(0), json.at("texts").size(),
                     find_metric(json, "groups.mean").value_or(0));
}

}  // namespace halftone
