// halftone compare MODEL MODEL... --text FILE

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/text_target.h"
#include "pipeline/evaluate_model.h"
#include "report/evaluation_report.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "The first model is the reference of the others.\n\n"
    "Example:\n"
    "  halftone compare models/llama llama-w4 llama-w3 --text wiki.test.txt --windows 40";

struct Options {
  std::vector<std::string> models, texts;
  std::string json;
  int64_t length = 0, windows = 0;
  Protocol protocol = Protocol::kPaper;
  ExecutionOptions execution;
};

EvaluateRequest make_request(const Options& options) {
  EvaluateRequest request;
  request.texts.assign(options.texts.begin(), options.texts.end());
  request.length = options.length;
  request.windows = options.windows;
  request.protocol = options.protocol;
  request.device = options.execution.device;
  request.compute = options.execution.compute;
  request.threads = options.execution.threads;
  return request;
}

int compare(const Options& options) {
  if (options.models.size() < 2)
    throw UsageError(
        "compare: expected two models or more, found one; `halftone evaluate` is for one");
  const std::vector<std::filesystem::path> models(options.models.begin(), options.models.end());
  const EvaluateRequest request = make_request(options);
  const TextTarget json(options.json, inputs_of(models, request));
  ConsoleProgress progress;
  const std::vector<nlohmann::json> evaluations = compare_models(models, request, progress);
  if (!json.is_stdout()) print_result(comparison_text(evaluations));
  json.write(json_text(evaluations));
  for (const nlohmann::json& evaluation : evaluations) require_numbers(evaluation);
  return kDone;
}

}  // namespace

void add_compare(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("compare", "Several models on the same text, side by side");
  const auto options = std::make_shared<Options>();
  command.add_option("MODEL", options->models, "model folders or .gguf files, the reference first")
      ->required();
  add_texts(command, options->texts);
  add_length(command, options->length);
  add_windows(command, options->windows);
  add_protocol(command, options->protocol);
  add_execution_options(command, options->execution);
  add_target(command, {"--json", "a list of evaluations as JSON; - is stdout"}, options->json);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return compare(*options); }; });
}

}  // namespace halftone
