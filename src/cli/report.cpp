// halftone report RUN... --out FILE.html

#include <CLI/CLI.hpp>
#include <memory>

#include "base/place.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/text_target.h"
#include "pipeline/output_place.h"
#include "pipeline/reported_models.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "RUN is an output of quantize, or a file of --json of evaluate or compare, or of --report of\n"
    "quantize. The page needs nothing else: size against KL, errors of the linears, tables.\n\n"
    "Example:\n"
    "  halftone report llama-w4 llama-w3 compared.json --out llama.html";

struct Options {
  std::vector<std::string> runs;
  std::string out;
};

int report(const Options& options) {
  if (std::filesystem::path(options.out).extension() != ".html")
    throw UsageError(fmt::format("--out: expected FILE.html, found {}", printable(options.out)));
  const std::vector<std::filesystem::path> runs(options.runs.begin(), options.runs.end());
  std::vector<std::filesystem::path> read;
  for (const std::filesystem::path& run : runs)
    for (const std::filesystem::path& file : files_of_model(run)) read.push_back(file);
  const TextTarget target(options.out, read);
  target.write(runs_html(read_reported_models(runs)));
  print_result(fmt::format("wrote {}\n", options.out));
  return kDone;
}

}  // namespace

void add_report(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("report", "One page of several runs and their evaluations");
  const auto options = std::make_shared<Options>();
  command.add_option("RUN", options->runs, "outputs of quantize, files of --json or --report")
      ->required();
  command.add_option("--out", options->out, "the page to write")
      ->required()
      ->type_name("FILE.html");
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return report(*options); }; });
}

}  // namespace halftone
