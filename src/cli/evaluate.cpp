// halftone evaluate MODEL [--text FILE] [--images PATH] [--tasks LIST] [--reference MODEL]

#include <algorithm>
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "base/place.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/task_options.h"
#include "cli/text_target.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/output_place.h"
#include "report/evaluation_report.h"
#include "report/gate.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  halftone evaluate llama-w4 --text wiki.test.txt\n"
    "  halftone evaluate llama-w4 --text wiki.test.txt --reference models/llama \\\n"
    "      --json - --gate \"kl.mean<0.05,top1.value>0.9\"\n"
    "  halftone evaluate llama-w4 --tasks piqa,arc_easy --task-data data --reference models/llama\n"
    "  halftone evaluate vit-w4 --images cifar10/test_batch.bin --reference models/vit";

constexpr int64_t kMostTexts = 10000;

struct Options {
  std::string model, reference, images, json;
  std::vector<std::string> texts;
  std::optional<std::string> gate;
  int64_t length = 0, windows = 0, generate = 0;
  Protocol protocol = Protocol::kPaper;
  std::string save_base;
  TaskOptions tasks;
  ExecutionOptions execution;
};

bool begins_with_one_of(const std::string& metric, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return metric.starts_with(prefix); });
}

bool is_of_text(const std::string& metric) {
  return begins_with_one_of(metric, {"perplexity.", "reference_perplexity.", "kl.", "reverse_kl.",
                                     "top1.", "llama.", "groups.", "noise_floor."});
}

bool is_of_text_alone(const std::string& metric) {
  return begins_with_one_of(
      metric, {"perplexity.", "reference_perplexity.", "llama.", "groups.", "noise_floor."});
}

bool is_of_images(const std::string& metric) {
  return begins_with_one_of(metric, {"accuracy.", "reference_accuracy.", "cross_entropy."});
}

bool is_of_generation(const std::string& metric) {
  return begins_with_one_of(metric, {"generation."});
}

bool is_of_tasks(const std::string& metric) {
  return begins_with_one_of(metric, {"tasks.", "tasks_mean."});
}

bool needs_reference(const std::string& metric) {
  if (begins_with_one_of(metric, {"kl.", "reverse_kl.", "top1.", "reference_perplexity.", "llama.",
                                  "reference_accuracy.", "groups.", "noise_floor."}))
    return true;
  return (is_of_tasks(metric) || is_of_generation(metric)) &&
         (metric.find(".flips.") != metric.npos || metric.find(".reference") != metric.npos);
}

std::vector<Gate> gates_of(const Options& options) {
  if (!options.gate) return {};
  const auto gates = as_usage_error("--gate", [&] { return parse_gates(*options.gate); });
  for (const Gate& gate : gates)
    for (const auto& [missing, option] :
         {std::pair{options.reference.empty() && needs_reference(gate.metric), "--reference"},
          {options.images.empty() && is_of_images(gate.metric), "--images"},
          {!options.images.empty() && is_of_text_alone(gate.metric), "--text"},
          {options.texts.empty() && options.images.empty() && is_of_text(gate.metric) &&
               !is_log_probability_file(options.reference),
           "--text"},
          {options.texts.size() < 2 && begins_with_one_of(gate.metric, {"groups."}),
           "several --text"},
          {options.generate == 0 && is_of_generation(gate.metric), "--generate"},
          {!options.tasks.tasks && is_of_tasks(gate.metric), "--tasks"}})
      if (missing)
        throw UsageError(fmt::format("--gate: {} is measured only with {}", gate.metric, option));
  return gates;
}

// What the protocol of llama-perplexity goes with.   kept: the reference is such a file
void refuse_protocol(const Options& options, bool kept) {
  const bool llama = options.protocol == Protocol::kLlama;
  if (kept && !llama)
    throw UsageError("--reference: a file of log-probabilities goes with --protocol llama");
  if (kept && options.tasks.tasks)
    throw UsageError("--tasks: the reference has to be a model, not a file of log-probabilities");
  if (!options.save_base.empty() && (!llama || options.texts.size() != 1))
    throw UsageError("--save-base: only with one --text and --protocol llama");
  if (kept && options.texts.size() > 1)
    throw UsageError("--reference: a file of log-probabilities goes with one --text");
}

// What is of texts and tokens.
void refuse_beside_images(const Options& options, bool kept) {
  if (options.images.empty()) return;
  const auto refuse = [](bool given, const char* option) {
    if (given) throw UsageError(fmt::format("--images with {}: expected one of them", option));
  };
  refuse(!options.texts.empty(), "--text");
  refuse(options.tasks.tasks.has_value(), "--tasks");
  refuse(kept, "a --reference of log-probabilities");
  refuse(options.length > 0, "--length");
  refuse(options.windows > 0, "--windows");
  refuse(options.generate > 0, "--generate");
  refuse(options.protocol != Protocol::kPaper, "--protocol");
  refuse(!options.save_base.empty(), "--save-base");
}

EvaluateRequest make_request(const Options& options) {
  const bool kept = is_log_probability_file(options.reference);
  if (options.texts.empty() && options.images.empty() && !options.tasks.tasks && !kept)
    throw UsageError("--text is required, or --images, or --tasks");
  refuse_beside_images(options, kept);
  refuse_protocol(options, kept);
  if (options.generate > 0 && options.texts.empty())
    throw UsageError("--generate: only with --text");
  EvaluateRequest request;
  request.tasks = tasks_request(options.tasks);
  request.model = options.model;
  request.texts.assign(options.texts.begin(), options.texts.end());
  if (!options.reference.empty()) request.reference = options.reference;
  if (!options.images.empty()) request.images = options.images;
  request.length = options.length;
  request.windows = options.windows;
  request.protocol = options.protocol;
  request.written = options.save_base;
  request.generate = options.generate;
  request.device = options.execution.device;
  request.compute = options.execution.compute;
  request.threads = options.execution.threads;
  return request;
}

bool all_hold(const std::vector<Gate>& gates, const nlohmann::json& evaluation) {
  bool all = true;
  for (const Gate& gate : gates) {
    const GateResult result = check_gate(gate, evaluation);
    print_note(result.text);
    all = all && result.holds;
  }
  return all;
}

// What an interrupted run leaves, in words; empty: nothing.
std::string kept_by(const EvaluateRequest& request) {
  if (request.tasks.items.empty() || !is_there(request.tasks.items)) return "";
  return fmt::format("{} keeps the finished items: --resume goes on with them",
                     shown(request.tasks.items));
}

nlohmann::json evaluate_with_progress(const EvaluateRequest& request) {
  ConsoleProgress progress([&] { return kept_by(request); });
  try {
    return evaluate_model(request, progress);
  } catch (const Interrupted&) {
    throw Interrupted{kept_by(request)};
  }
}

int evaluate(const Options& options) {
  const EvaluateRequest request = make_request(options);
  const std::vector<Gate> gates = gates_of(options);
  std::vector<std::filesystem::path> apart_from = inputs_of({request.model}, request);
  if (!request.tasks.items.empty()) apart_from.push_back(request.tasks.items);
  const TextTarget json(options.json, apart_from);
  if (!request.written.empty()) require_apart(request.written, apart_from);
  const nlohmann::json evaluation = evaluate_with_progress(request);
  if (!json.is_stdout()) print_result(evaluation_text(evaluation));
  json.write(json_text(evaluation));
  const bool hold = all_hold(gates, evaluation);
  require_numbers(evaluation);
  return hold ? kDone : kGateOrReadBackFailed;
}

}  // namespace

void add_evaluate(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("evaluate",
                              "Perplexity on a text, accuracy on images or in tasks and, against a "
                              "reference, KL divergence and flips");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  add_texts(command, options->texts, /*required=*/false);
  command
      .add_option("--images", options->images,
                  "labelled images, of a vision transformer: CIFAR-10's .bin, or a folder of PNG "
                  "and JPEG files in a folder for each class")
      ->type_name("PATH");
  command
      .add_option("--reference", options->reference,
                  "the model to compare with, or a file of --save-base or llama-perplexity")
      ->type_name("MODEL");
  add_length(command, options->length);
  add_windows(command, options->windows);
  add_protocol(command, options->protocol);
  add_target(command,
             {"--save-base",
              "write the log-probabilities as llama-perplexity's --kl-divergence-base does"},
             options->save_base);
  add_integer(command,
              {"--generate",
               "short texts behind parts of --text: how many end in a loop; whether rows of JSON "
               "are JSON (0)",
               1, kMostTexts},
              options->generate);
  add_execution_options(command, options->execution);
  add_target(command, {"--json", "the numbers as JSON; - is stdout"}, options->json);
  command
      .add_option("--gate", options->gate,
                  "conditions such as \"kl.mean<0.05\"; exit 3 if one fails")
      ->type_name("LIST");
  add_task_options(command, options->tasks);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return evaluate(*options); }; });
}

}  // namespace halftone
