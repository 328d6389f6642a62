#include "report/evaluation_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/place.h"
#include "report/bits_text.h"
#include "report/divergence_rows.h"
#include "report/human.h"
#include "report/llama_block.h"
#include "report/metric.h"
#include "report/task_table.h"
#include "report/text_table.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongestNote = 4000;
constexpr size_t kSampleBytes = 160;

std::string estimate(const Json& json, const std::string& value, const std::string& error) {
  const auto number = find_metric(json, value);
  return number ? human_estimate(*number, find_metric(json, error)) : "-";
}

std::string perplexity(const Json& json, const std::string& name) {
  return estimate(json, name + ".value", name + ".stderr");
}

std::string perplexity_with_interval(const Json& json, const std::string& name) {
  return perplexity(json, name) + interval_text(json, name);
}

std::string plain(const Json& json, std::string_view name) {
  const auto number = find_metric(json, name);
  return number ? fmt::format("{:.4g}", *number) : "-";
}

std::string top1(const Json& json) {
  const auto value = find_metric(json, "top1.value");
  return value ? human_share(*value, find_metric(json, "top1.stderr")) : "-";
}

std::string size(const Json& json) {
  const auto bytes = find_metric(json, "bytes");
  return bytes ? human_bytes(*bytes) : "-";
}

std::string bits(const Json& json, std::string_view name) {
  const auto value = find_metric(json, name);
  return value ? fmt::format("{:.3f}", *value) : "-";
}

std::string count(const Json& json, std::string_view name) {
  const auto value = find_metric(json, name);
  return value ? fmt::format("{:.0f}", *value) : "?";
}

// The name of the text, or of so many; without a text it is the reference's.
std::string name_of_text(const Json& json) {
  if (json.contains("texts")) return fmt::format("{} texts", json.at("texts").size());
  const std::string text = find_text(json, "text");
  return std::filesystem::path(text.empty() ? find_text(json, "reference") : text)
      .filename()
      .string();
}

// "wikitext.txt: 40 windows of 2048 tokens, compute float32"
std::string protocol(const Json& json) {
  const std::string compute = find_text(json, "compute");
  return fmt::format(
      "{}: {} windows of {} tokens{}, compute {}", name_of_text(json),
      count(json, "protocol.windows"), count(json, "protocol.length"),
      find_text(json, "protocol.name") == "llama" ? ", the second half of each scored" : "",
      compute.empty() ? "?" : compute);
}

// "cifar.bin: 1488 images of 10 classes, compute float32"
std::string image_protocol(const Json& json) {
  return fmt::format("{}: {} images of {} classes, compute {}",
                     last_name(find_text(json, "images")), count(json, "protocol.images"),
                     count(json, "protocol.classes"), find_text(json, "compute"));
}

std::string share_with_interval(const Json& json, const std::string& name) {
  const auto value = find_metric(json, name + ".value");
  if (!value) return "-";
  return human_share(*value, find_metric(json, name + ".stderr")) + interval_text(json, name);
}

void add_image_rows(const Json& json, TextTable& table) {
  table.add_row({"top-1 accuracy", share_with_interval(json, "accuracy")});
  if (!find_metric(json, "kl.mean")) return;
  table.add_row({"  of the reference", share_with_interval(json, "reference_accuracy")});
  for (const auto& [label, name] :
       {std::pair{"KL divergence", "kl"}, {"  the other way", "reverse_kl"}})
    table.add_row(
        {label, estimate(json, fmt::format("{}.mean", name), fmt::format("{}.stderr", name)) +
                    " nats an image" + interval_text(json, name)});
  table.add_row({"same class", share_with_interval(json, "top1")});
}

// "25.00 %, of the reference 12.50 %" of a share of texts.
std::string share_of_texts(const Json& json, const std::string& name) {
  const auto share = [&](const std::string& at) {
    const auto value = find_metric(json, at + name + ".value");
    return value ? human_share(*value, std::nullopt) : std::string("-");
  };
  const std::string own = share("generation.");
  if (!find_metric(json, "generation.reference." + name + ".value")) return own;
  return fmt::format("{}, of the reference {}", own, share("generation.reference."));
}

void add_generation_rows(const Json& json, TextTable& table) {
  const Json& generation = json.at("generation");
  table.add_row(
      {"generation", fmt::format("{} texts of {} tokens, greedy", plain(json, "generation.texts"),
                                 plain(json, "generation.tokens"))});
  table.add_row({"  end in a loop", share_of_texts(json, "loops")});
  table.add_row({"  rows of JSON that are JSON", share_of_texts(json, "json")});
  if (const Json& samples = generation.at("samples"); !samples.empty())
    table.add_row({"  for example",
                   fmt::format("{} | {}", human_line(find_text(samples[0], "prompt"), kSampleBytes),
                               human_line(find_text(samples[0], "text"), kSampleBytes))});
}

// The last part of each model's path, or the whole path of all where two would look the same.
std::vector<std::string> model_labels(const std::vector<Json>& evaluations) {
  std::vector<std::string> whole, short_ones;
  for (const Json& json : evaluations) {
    whole.push_back(find_text(json, "model"));
    short_ones.push_back(last_name(whole.back()));
  }
  std::vector<std::string> sorted = short_ones;
  std::sort(sorted.begin(), sorted.end());
  const bool unique = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  return unique ? short_ones : whole;
}

}  // namespace

std::string evaluation_text(const Json& json) {
  TextTable table(TextTable::Align::kLeft);
  const std::string format = find_text(json, "format"), reference = find_text(json, "reference");
  table.add_row({"model", fmt::format("{} ({}{})", find_text(json, "model"),
                                      format.empty() ? "" : format + ", ", size(json))});
  if (!reference.empty()) table.add_row({"reference", reference});
  const bool has_images = json.contains("images");
  const bool has_text = !has_images && (!json.contains("tasks") || json.contains("protocol"));
  if (has_text) table.add_row({"text", protocol(json)});
  if (has_images) table.add_row({"images", image_protocol(json)});
  if (!has_text && !has_images) table.add_row({"compute", find_text(json, "compute")});
  table.add_row(
      {"bits per weight", fmt::format("{} in the quantized linears, {} in the whole model",
                                      bits_text(json), bits(json, "bits_per_weight.model"))});
  if (has_text) table.add_row({"perplexity", perplexity_with_interval(json, "perplexity")});
  if (find_metric(json, "reference_perplexity.value"))
    table.add_row({"  of the reference", perplexity_with_interval(json, "reference_perplexity")});
  if (has_images)
    add_image_rows(json, table);
  else if (find_metric(json, "kl.mean"))
    add_divergence_rows(json, table);
  if (find_metric(json, "generation.texts")) add_generation_rows(json, table);
  for (const std::string& note : notes_in(json)) table.add_row({"note", note});
  if (const auto seconds = find_metric(json, "seconds"))
    table.add_row(
        {"took", fmt::format("{}, peak memory {}", human_duration(*seconds),
                             human_bytes(find_metric(json, "peak_rss_bytes").value_or(0)))});
  const std::string tasks = task_table(json);
  std::string text = table.text();
  for (const std::string& part : {texts_table(json), llama_block(json), tasks})
    if (!part.empty()) text += "\n" + part;
  return text;
}

std::string comparison_text(const std::vector<Json>& evaluations) {
  TextTable table;
  table.add_row({"model", "size", "bits/weight", "perplexity", "KL to the first", "KL 95 %",
                 "KL p99", "same top token"});
  table.add_rule();
  const std::vector<std::string> labels = model_labels(evaluations);
  for (size_t i = 0; i < evaluations.size(); ++i) {
    const Json& json = evaluations[i];
    table.add_row({labels[i], size(json), bits_text(json), perplexity(json, "perplexity"),
                   estimate(json, "kl.mean", "kl.stderr"), range_text(json, "kl"),
                   plain(json, "kl.p99"), top1(json)});
  }
  std::string table_text = table.text();
  if (!evaluations.empty()) table_text += fmt::format("\n{}\n", protocol(evaluations.front()));
  for (size_t i = 0; i < evaluations.size(); ++i) {
    if (const std::string worst = worst_text(evaluations[i]); !worst.empty())
      table_text += fmt::format("{}: {}\n", labels[i], worst);
    if (const auto floor = find_metric(evaluations[i], "noise_floor.kl"))
      table_text += fmt::format(
          "{}: KL is near its noise floor, {:.2g} (the reference in bfloat16 against float32)\n",
          labels[i], *floor);
  }
  for (size_t i = 0; i < evaluations.size(); ++i)
    for (const std::string& note : notes_in(evaluations[i]))
      if (i == 0 || !note.starts_with("reference: "))  // the first model's row has said so
        table_text += fmt::format("note: {}: {}\n", labels[i], printable(note, kLongestNote));
  return table_text;
}

void require_numbers(const Json& evaluation) {
  const std::string failure = find_text(evaluation, "failure");
  require(failure.empty(), "{}: {}", find_text(evaluation, "model"), failure);
}

}  // namespace halftone
