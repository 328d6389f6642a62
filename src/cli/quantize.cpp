// halftone quantize MODEL --out DIR --recipe NAME_OR_FILE.toml --calibration FILE

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/place.h"
#include "cli/bit_target_options.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/quantize_options.h"
#include "cli/text_target.h"
#include "pipeline/journal.h"
#include "pipeline/output_parts.h"
#include "pipeline/output_place.h"
#include "pipeline/quantize_model.h"
#include "report/quantize_report.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  halftone quantize models/llama --out llama-w4 --calibration c4.txt\n"
    "  halftone quantize models/llama --out llama-w3 --recipe gptq --bits 3 --group-size 64 \\\n"
    "      --calibration c4.txt --sequences 256 --report llama-w3.html\n"
    "  halftone quantize models/llama --out llama-chat --calibration chat.jsonl:3 \\\n"
    "      --calibration c4.txt\n"
    "  halftone quantize models/llama --out llama-q4.gguf --mix Q4_K_M --calibration c4.txt\n"
    "  halftone quantize models/llama --out llama-rtn --recipe rtn --set grid.symmetric=true";

constexpr double kLeastCheckKl = 1e-9, kMostCheckKl = 1000;

struct Options : QuantizeOptions {
  std::string report;
  BitTargetOptions bit_target;
  bool overwrite = false, resume = false, no_check = false;
  double check_kl = 0;  // 0: what the context is worth
};

TextTarget report_target(const std::string& report, const QuantizeRequest& request) {
  const std::string type = std::filesystem::path(report).extension().string();
  if (!report.empty() && type != ".json" && type != ".html")
    throw UsageError(
        fmt::format("--report: expected FILE.json or FILE.html, found {}", printable(report)));
  std::vector<std::filesystem::path> apart_from = inputs_of(request);
  for (const auto& written : {request.out, journal_folder(request.out)})
    apart_from.push_back(written);
  return {report, apart_from};
}

QuantizeRequest run_request(const Options& options) {
  require_bit_target(options.bit_target, options);
  QuantizeRequest request = make_request(options);
  request.overwrite = options.overwrite;
  request.resume = options.resume;
  if (options.no_check && options.check_kl > 0)
    throw UsageError("--check-kl with --no-check: expected one of them");
  request.check = !options.no_check;
  if (options.check_kl > 0) request.check_kl = options.check_kl;
  return request;
}

// What an interrupted run leaves, in words; empty: nothing.
std::string kept_by(const QuantizeRequest& request) {
  if (!request.recipe.needs_calibration() || !has_finished_blocks(request.out)) return "";
  return fmt::format("{} keeps the finished blocks: --resume goes on with them",
                     shown(journal_folder(request.out)));
}

RunReport quantize_with_progress(const QuantizeRequest& request) {
  std::error_code error;
  const bool own_journal = !std::filesystem::exists(journal_folder(request.out), error);
  ConsoleProgress progress([&] {
    remove_own_pending(request.out);
    if (own_journal && !has_finished_blocks(request.out)) discard_journal(request.out);
    return kept_by(request);
  });
  try {
    return quantize_model(request, progress);
  } catch (const Interrupted&) {
    throw Interrupted{kept_by(request)};
  }
}

int quantize(const Options& options) {
  const QuantizeRequest asked = run_request(options);
  const TextTarget target = report_target(options.report, asked);
  const QuantizeRequest request = with_chosen_bits(asked, options.bit_target);
  const RunReport report = quantize_with_progress(request);
  const char* verb = report.seconds ? "wrote" : "kept";  // what --resume found done
  print_result(
      fmt::format("{} {}\n{}", verb, file_to_open(options.out).string(), quantize_text(report)));
  const bool html = std::filesystem::path(options.report).extension() == ".html";
  target.write(html ? quantize_html(report) : json_text(report));
  if (!report.verified()) return kGateOrReadBackFailed;
  if (!report.check || !report.check->collapsed()) return kDone;
  print_note(fmt::format("halftone: {}: the output has collapsed: {}", shown(request.out),
                         collapse_text(*report.check)));
  return kGateOrReadBackFailed;
}

void add_output_options(CLI::App& command, Options& options) {
  command.add_option("--out", options.out, "folder to write, or NAME.gguf")
      ->required()
      ->type_name("PATH");
  add_format_options(command, options);
  command.add_flag("--overwrite", options.overwrite, "replace the output of this program at --out");
  command.add_flag("--resume", options.resume,
                   "go on with an interrupted run of the same request, kept in OUT.journal");
  add_number(command,
             {"--check-kl",
              "exit 3 if the output, read back and scored on text beside the calibration's, "
              "diverges by more nats a token (as much as a guess that never looks at the context)",
              kLeastCheckKl, kMostCheckKl},
             options.check_kl);
  command.add_flag("--no-check", options.no_check, "do not score what was written");
  add_target(command, {"--report", "what was done, as FILE.json or FILE.html"}, options.report);
}

}  // namespace

void add_quantize(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("quantize", "Quantize the linears of a model and check the result");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  add_output_options(command, *options);
  add_recipe_options(command, *options);
  add_bit_target_options(command, options->bit_target);
  add_calibration_options(command, *options);
  add_execution_options(command, options->execution);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return quantize(*options); }; });
}

}  // namespace halftone
