// halftone inspect PATH [--tensors] [--json]

#include "pipeline/inspect.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "report/inspect_report.h"

namespace halftone {
namespace {

struct Options {
  std::string path;
  bool tensors = false, json = false;
};

int inspect(const Options& options) {
  const nlohmann::json inspection = inspect_path(options.path, options.tensors);
  print_result(options.json ? json_text(inspection) : inspect_text(inspection));
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("inspect", "What a model folder, safetensors or recipe file holds");
  const auto options = std::make_shared<Options>();
  command.add_option("PATH", options->path, "folder or file")->required();
  command.add_flag("--tensors", options->tensors, "list every tensor");
  command.add_flag("--json", options->json, "as JSON");
  command.footer("Example:\n  halftone inspect llama-w4 --tensors");
  command.callback([options, &action] { action = [options] { return inspect(*options); }; });
}

}  // namespace halftone
