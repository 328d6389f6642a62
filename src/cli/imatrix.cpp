// halftone imatrix MODEL --out NAME.gguf --calibration FILE

#include "pipeline/imatrix.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/recipe_choice.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "For those who stay with llama.cpp's own quantizer: llama-quantize --imatrix NAME.gguf takes "
    "it.\n"
    "With --recipe guided inputs count by what they do to the model's loss.\n\n"
    "Example:\n"
    "  halftone imatrix models/llama --out imatrix.gguf --calibration c4.txt";

struct Options {
  std::string model, out, recipe = "gptq";
  std::vector<WeighedText> calibration;
  std::vector<std::string> settings;
  int64_t sequences = 128, length = 0;
  uint64_t seed = 0;
  ExecutionOptions execution;
};

QuantizeRequest make_request(const Options& options) {
  QuantizeRequest request;
  request.model = options.model;
  request.out = options.out;
  request.recipe = find_recipe(options.recipe);
  for (const std::string& setting : options.settings)
    as_usage_error("--set", [&] { apply_setting(request.recipe, setting); });
  request.recipe_file = recipe_file(options.recipe);
  request.calibration = options.calibration;
  request.sequences = options.sequences;
  request.length = options.length;
  request.seed = options.seed;
  request.device = options.execution.device;
  request.compute = options.execution.compute;
  request.threads = options.execution.threads;
  return request;
}

int imatrix(const Options& options) {
  const QuantizeRequest request = make_request(options);
  nlohmann::json report;
  {
    ConsoleProgress progress([&] {
      remove_own_pending(request.out);
      return std::string();
    });
    report = write_imatrix(request, progress);
  }
  print_result(fmt::format("wrote {}\nlinears    {}\ntokens     {}\nobjective  {}", options.out,
                           report.at("linears").get<int64_t>(), report.at("tokens").get<int64_t>(),
                           report.at("objective").get<std::string>()));
  return kDone;
}

}  // namespace

void add_imatrix(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "imatrix", "Measure what each input counts, for llama.cpp's quantizer");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  command.add_option("--out", options->out, "file to write, NAME.gguf")
      ->required()
      ->type_name("PATH");
  add_calibration(command, options->calibration);
  command
      .add_option(
          "--recipe", options->recipe,
          "whose objective: gptq = the inputs' squares, guided = weighed by the loss (gptq)")
      ->type_name("NAME");
  add_settings(command, options->settings);
  add_sequences(command, options->sequences);
  add_length(command, options->length);
  add_seed(command, options->seed);
  add_execution_options(command, options->execution);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return imatrix(*options); }; });
}

}  // namespace halftone
