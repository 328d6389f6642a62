// halftone convert MODEL --out DIR --format FORMAT

#include <CLI/CLI.hpp>
#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "format/format_names.h"
#include "pipeline/convert_model.h"
#include "pipeline/output_parts.h"
#include "report/convert_report.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Weights stay what they are, bit for bit; dense rounds them once to the model's type, "
    "unless\n"
    "--type F32 keeps them. A format that cannot hold the grid of every linear is refused.\n\n"
    "Examples:\n"
    "  halftone convert llama-spqr --out llama-spqr-dense --format dense\n"
    "  halftone convert models/llama --out llama-f16.gguf --format gguf --type F16";

struct Options {
  std::string model, out, format, type;
  std::optional<int64_t> shard_bytes;
  bool overwrite = false;
};

int convert(const Options& options) {
  const ConvertRequest request{.model = options.model,
                               .out = options.out,
                               .format = options.format,
                               .type = options.type,
                               .shard_bytes = options.shard_bytes,
                               .overwrite = options.overwrite};
  nlohmann::json report;
  {
    ConsoleProgress progress([&] {
      remove_own_pending(request.out);
      return std::string();
    });
    report = convert_model(request, progress);
  }
  print_result(
      fmt::format("wrote {}\n{}", file_to_open(options.out).string(), convert_text(report)));
  return kDone;
}

}  // namespace

void add_convert(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("convert", "Write a quantized model in another format");
  const auto options = std::make_shared<Options>();
  command.add_option("MODEL", options->model, "a quantized model, or for gguf a plain one")
      ->required();
  command.add_option("--out", options->out, "folder to write, or NAME.gguf")
      ->required()
      ->type_name("PATH");
  command.add_option("--format", options->format, format_names())->required()->type_name("FORMAT");
  command
      .add_option(
          "--type", options->type,
          "gguf: F32, F16, BF16 or Q8_0, of what is not quantized (the model's own); dense: "
          "F32, of everything")
      ->type_name("TYPE");
  add_shard_size(command, options->shard_bytes);
  command.add_flag("--overwrite", options->overwrite,
                   "replace the output of this program at --out");
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return convert(*options); }; });
}

}  // namespace halftone
