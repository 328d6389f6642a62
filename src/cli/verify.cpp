// halftone verify PATH [--source MODEL]

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "base/place.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/text_target.h"
#include "pipeline/verify_output.h"
#include "report/verify_report.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Exit 3 if something does not hold.\n\n"
    "Example:\n"
    "  halftone verify llama-w4 --source models/llama";

struct Options {
  std::string path, source, json;
};

int verify(const Options& options) {
  std::optional<std::filesystem::path> source;
  if (!options.source.empty()) source = options.source;
  const TextTarget json(options.json, inputs_of_verification(options.path, source));
  ConsoleProgress progress;
  const nlohmann::json found = verify_output(options.path, source, progress);
  if (!json.is_stdout()) print_result(verify_text(found));
  json.write(json_text(found));
  const std::string failure = first_failure(found);
  if (failure.empty()) return kDone;
  print_note(fmt::format("halftone: {}: {}", shown(options.path), failure));
  return kGateOrReadBackFailed;
}

}  // namespace

void add_verify(CLI::App& program, Action& action) {
  CLI::App& command = *program.add_subcommand(
      "verify", "Hashes of a model's files; whether they read back and account for their source");
  const auto options = std::make_shared<Options>();
  command.add_option("PATH", options->path, "a model folder or .gguf file")->required();
  command.add_option("--source", options->source, "the model that it was made from")
      ->type_name("MODEL");
  add_target(command, {"--json", "files, hashes and checks as JSON; - is stdout"}, options->json);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return verify(*options); }; });
}

}  // namespace halftone
