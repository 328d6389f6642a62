// halftone plan MODEL [options of quantize]

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/quantize_options.h"
#include "cli/text_target.h"
#include "pipeline/plan_run.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Of a model folder config.json is enough; a calibration text is not read.\n\n"
    "Examples:\n"
    "  halftone plan models/llama --bits 3\n"
    "  halftone plan models/llama --mix Q4_K_M --format gguf --json -";

struct Options : QuantizeOptions {
  bool no_check = false;
  std::string json;
};

int plan(const Options& options) {
  QuantizeRequest request = make_request(options);
  request.check = !options.no_check;
  const TextTarget json(options.json, inputs_of(request));
  const PlanReport report = plan_run(request);
  if (!json.is_stdout()) print_result(plan_text(report));
  json.write(json_text(report));
  return kDone;
}

}  // namespace

void add_plan(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "plan", "Size, memory, time and engines of a quantization, before it is run");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  command.add_option("--out", options->out, "where it would be written: its disk is looked at")
      ->type_name("PATH");
  add_format_options(command, *options);
  add_recipe_options(command, *options);
  add_calibration_options(command, *options);
  add_execution_options(command, options->execution);
  command.add_flag("--no-check", options->no_check, "of a run that does not score what it wrote");
  add_target(command, {"--json", "the plan as JSON; - is stdout"}, options->json);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return plan(*options); }; });
}

}  // namespace halftone
