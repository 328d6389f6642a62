// halftone evaluate MODEL --text FILE [--reference MODEL]

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/text_target.h"
#include "pipeline/evaluate_model.h"
#include "report/evaluation_report.h"
#include "report/gate.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  halftone evaluate llama-w4 --text wiki.test.txt\n"
    "  halftone evaluate llama-w4 --text wiki.test.txt --reference models/llama \\\n"
    "      --json - --gate \"kl.mean<0.05,top1.value>0.9\"";

struct Options {
  std::string model, text, reference, json;
  std::optional<std::string> gate;
  int64_t length = 0, windows = 0;
  ExecutionOptions execution;
};

bool needs_reference(const std::string& metric) {
  for (const char* prefix : {"kl.", "top1.", "reference_perplexity."})
    if (metric.rfind(prefix, 0) == 0) return true;
  return false;
}

std::vector<Gate> gates_of(const Options& options) {
  if (!options.gate) return {};
  const auto gates = as_usage_error("--gate", [&] { return parse_gates(*options.gate); });
  for (const Gate& gate : gates)
    if (options.reference.empty() && needs_reference(gate.metric))
      throw UsageError(fmt::format("--gate: {} is measured only with --reference", gate.metric));
  return gates;
}

EvaluateRequest make_request(const Options& options) {
  EvaluateRequest request;
  request.model = options.model;
  request.text = options.text;
  if (!options.reference.empty()) request.reference = options.reference;
  request.length = options.length;
  request.windows = options.windows;
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

int evaluate(const Options& options) {
  const std::vector<Gate> gates = gates_of(options);
  const EvaluateRequest request = make_request(options);
  const TextTarget json(options.json, inputs_of({request.model}, request));
  nlohmann::json evaluation;
  {
    ConsoleProgress progress;
    evaluation = evaluate_model(request, progress);
  }
  if (!json.is_stdout()) print_result(evaluation_text(evaluation));
  json.write(json_text(evaluation));
  const bool hold = all_hold(gates, evaluation);
  require_numbers(evaluation);
  return hold ? kDone : kGateOrReadBackFailed;
}

}  // namespace

void add_evaluate(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "evaluate", "Perplexity on a text and, against a reference, KL divergence and top-1");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  add_text(command, options->text);
  command.add_option("--reference", options->reference, "the model to compare with")
      ->type_name("MODEL");
  add_length(command, options->length);
  add_windows(command, options->windows);
  add_execution_options(command, options->execution);
  add_target(command, {"--json", "the numbers as JSON; - is stdout"}, options->json);
  command
      .add_option("--gate", options->gate,
                  "conditions such as \"kl.mean<0.05\"; exit 3 if one fails")
      ->type_name("LIST");
  add_option_not_built(command, "--tasks");
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return evaluate(*options); }; });
}

}  // namespace halftone
