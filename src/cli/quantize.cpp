// halftone quantize MODEL --out DIR --recipe NAME_OR_FILE.toml --calibration FILE

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/place.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/recipe_choice.h"
#include "cli/text_target.h"
#include "format/gguf_blocks.h"
#include "pipeline/journal.h"
#include "pipeline/output_parts.h"
#include "pipeline/output_place.h"
#include "pipeline/quantize_model.h"
#include "recipe/mix.h"
#include "report/quantize_report.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  halftone quantize models/llama --out llama-w4 --calibration c4.txt\n"
    "  halftone quantize models/llama --out llama-w3 --recipe gptq --bits 3 --group-size 64 \\\n"
    "      --calibration c4.txt --sequences 256 --report llama-w3.html\n"
    "  halftone quantize models/llama --out llama-q4.gguf --mix Q4_K_M --calibration c4.txt\n"
    "  halftone quantize models/llama --out llama-rtn --recipe rtn --set grid.symmetric=true";

constexpr double kLeastCheckKl = 1e-9, kMostCheckKl = 1000;
constexpr int64_t kGibibyte = int64_t{1} << 30, kMostGibibytes = int64_t{1} << 20;

struct Options {
  std::string model, out, recipe = "halftone", calibration, format, report;
  std::string type, mix, embedding, head;  // of a GGUF file
  std::string imatrix;
  std::optional<int64_t> shard_bytes;  // of a GGUF file
  std::optional<std::string> bits, group_size;
  std::vector<std::string> settings;
  int64_t sequences = 128, length = 0, memory_limit = -1;
  uint64_t seed = 0;
  bool overwrite = false, resume = false, requantize = false, strict = false, no_check = false;
  double check_kl = 0;  // 0: what the context is worth
  ExecutionOptions execution;
  std::optional<Products> products;
};

Recipe chosen_recipe(const Options& options) {
  Recipe recipe = find_recipe(options.recipe);
  const auto set = [&](const char* option, const std::string& setting) {
    as_usage_error(option, [&] { apply_setting(recipe, setting); });
  };
  for (const std::string& setting : options.settings) set("--set", setting);
  if (options.bits) set("--bits", "grid.bits=" + *options.bits);
  if (options.group_size) set("--group-size", "grid.group_size=" + *options.group_size);
  return recipe;
}

// What --type or --mix sets in a recipe.
GridSettings settings_of_type(const Options& options) {
  if (!options.mix.empty())
    return gguf_grid_settings(
        *find_gguf_type(as_usage_error("--mix", [&] { return find_mix(options.mix); }).type), true);
  if (is_mix(options.type) && !find_gguf_type(options.type))
    throw UsageError(fmt::format("--type: {0} is a mix of types: --mix {0}", options.type));
  const GgufType* type = find_gguf_type(options.type);
  const auto settings = type ? gguf_grid_settings(*type, true) : GridSettings();
  if (settings.empty())
    throw UsageError(fmt::format("--type: expected one of {}, found {}", gguf_grid_types(),
                                 printable(options.type)));
  return settings;
}

// A type is a whole grid: what else is said of it would be lost.
void require_type(const Options& options) {
  if (options.type.empty() && options.mix.empty()) return;
  if (!options.type.empty() && !options.mix.empty())
    throw UsageError(
        fmt::format("--type {} with --mix {}: expected one of them", options.type, options.mix));
  const GridSettings settings = settings_of_type(options);
  const auto refuse = [&](std::string_view option) {
    throw UsageError(fmt::format("{} with {} {}: the type says that already", printable(option),
                                 options.mix.empty() ? "--type" : "--mix",
                                 options.mix.empty() ? options.type : options.mix));
  };
  if (options.bits) refuse("--bits");
  if (options.group_size) refuse("--group-size");
  for (const std::string& setting : options.settings)
    for (const auto& [key, text] : settings)
      if (setting.starts_with(key + "=")) refuse("--set " + key);
}

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

QuantizeRequest make_request(const Options& options) {
  require_built_format(options.format);
  require_type(options);
  QuantizeRequest request;
  request.model = options.model;
  request.out = options.out;
  request.recipe = chosen_recipe(options);
  request.recipe_file = recipe_file(options.recipe);
  if (!options.calibration.empty()) request.calibration = options.calibration;
  if (!options.imatrix.empty()) request.imatrix = options.imatrix;
  if (request.imatrix && request.calibration)
    throw UsageError("--imatrix with --calibration: one of them says what counts");
  if (request.recipe.needs_calibration() && !request.calibration && !request.imatrix)
    throw UsageError(fmt::format("--calibration: recipe {} needs a text", request.recipe.name));
  request.sequences = options.sequences;
  request.length = options.length;
  request.seed = options.seed;
  request.format = options.format;
  request.type = options.type;
  request.mix = options.mix;
  request.embedding_type = options.embedding;
  request.head_type = options.head;
  request.shard_bytes = options.shard_bytes;
  request.strict = options.strict;
  request.device = options.execution.device;
  request.compute = options.execution.compute;
  request.products = options.products;
  request.threads = options.execution.threads;
  if (options.memory_limit >= 0) request.memory_limit = options.memory_limit * kGibibyte;
  request.overwrite = options.overwrite;
  request.resume = options.resume;
  request.requantize = options.requantize;
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
  const QuantizeRequest request = make_request(options);
  const TextTarget target = report_target(options.report, request);
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

void add_recipe_options(CLI::App& command, Options& options) {
  command
      .add_option("--recipe", options.recipe,
                  "a name of `halftone recipes`, or a .toml file (default: halftone)")
      ->type_name("NAME");
  add_settings(command, options.settings);
  command.add_option("--bits", options.bits, "bits of a code: --set grid.bits=B")->type_name("B");
  command
      .add_option("--group-size", options.group_size,
                  "columns that share a scale, 0 = the row: --set grid.group_size=G")
      ->type_name("G");
}

void add_calibration_options(CLI::App& command, Options& options) {
  add_calibration(command, options.calibration, /*required=*/false);
  command
      .add_option("--imatrix", options.imatrix,
                  "importances of columns in place of a text: what `halftone imatrix` or "
                  "llama-imatrix wrote; weighs errors, compensates none")
      ->type_name("FILE");
  add_sequences(command, options.sequences);
  add_length(command, options.length);
  add_integer(command,
              {"--memory-limit",
               "GiB of calibration data kept in memory, the rest goes to a temporary file beside "
               "--out (half of the memory)",
               0, kMostGibibytes},
              options.memory_limit);
  add_seed(command, options.seed);
  const auto set_products = [&options](const std::string& text) {
    options.products = as_usage_error("--products", [&] { return parse_products(text); });
  };
  command
      .add_option_function<std::string>(
          "--products", set_products,
          "auto, float32, bfloat16 or two-part: how large matrices are multiplied; auto measures "
          "(auto)")
      ->type_name("KIND");
}

void add_output_options(CLI::App& command, Options& options) {
  command.add_option("--out", options.out, "folder to write, or NAME.gguf")
      ->required()
      ->type_name("PATH");
  command
      .add_option("--format", options.format,
                  "compressed-tensors, gptq, gptq_v2, gguf, native or dense (the first that fits)")
      ->type_name("FORMAT");
  command
      .add_option("--type", options.type,
                  fmt::format("gguf: type of every linear, in place of the recipe's grid: {}",
                              gguf_grid_types()))
      ->type_name("TYPE");
  command
      .add_option("--mix", options.mix,
                  fmt::format("gguf: types by llama.cpp's name for them, embedding and head "
                              "included: {}",
                              mix_names()))
      ->type_name("NAME");
  command
      .add_option("--embedding", options.embedding,
                  "gguf: type of the embedding, F32, F16, BF16 too (the mix's, or the model's own)")
      ->type_name("TYPE");
  command.add_option("--head", options.head, "gguf: type of the head, likewise")->type_name("TYPE");
  add_shard_size(command, options.shard_bytes);
  command.add_flag("--strict", options.strict,
                   "refuse a --type or --mix that some rows cannot have, instead of giving them "
                   "llama.cpp's substitute");
  command.add_flag("--overwrite", options.overwrite, "replace the output of this program at --out");
  command.add_flag("--requantize", options.requantize,
                   "even a source whose weights have fewer than 8 bits already (.gguf)");
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
  add_calibration_options(command, *options);
  add_execution_options(command, options->execution);
  command.footer(kFooter);
  command.callback([options, &action] { action = [options] { return quantize(*options); }; });
}

}  // namespace halftone
