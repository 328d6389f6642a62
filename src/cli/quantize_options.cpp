#include "cli/quantize_options.h"

#include <CLI/CLI.hpp>

#include "base/place.h"
#include "cli/exit_status.h"
#include "cli/recipe_choice.h"
#include "format/format_names.h"
#include "format/gguf_blocks.h"
#include "recipe/mix.h"

namespace halftone {
namespace {

constexpr int64_t kGibibyte = int64_t{1} << 30, kMostGibibytes = int64_t{1} << 20;

Recipe chosen_recipe(const QuantizeOptions& options) {
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
GridSettings settings_of_type(const QuantizeOptions& options) {
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
void require_type(const QuantizeOptions& options) {
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

}  // namespace

QuantizeRequest make_request(const QuantizeOptions& options) {
  require_type(options);
  QuantizeRequest request;
  request.model = options.model;
  request.out = options.out;
  request.recipe = chosen_recipe(options);
  request.recipe_file = recipe_file(options.recipe);
  request.calibration = options.calibration;
  if (!options.imatrix.empty()) request.imatrix = options.imatrix;
  if (request.imatrix && !request.calibration.empty())
    throw UsageError("--imatrix with --calibration: one of them says what counts");
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
  request.requantize = options.requantize;
  return request;
}

void add_recipe_options(CLI::App& command, QuantizeOptions& options) {
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

void add_calibration_options(CLI::App& command, QuantizeOptions& options) {
  add_calibration(command, options.calibration);
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

void add_format_options(CLI::App& command, QuantizeOptions& options) {
  command.add_option("--format", options.format, format_names() + " (the first that fits)")
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
                  "the embedding in 2 to 8 bits (the model's own type); gguf: its type, F32, F16, "
                  "BF16 too (the mix's, or the model's own)")
      ->type_name("BITS|TYPE");
  command.add_option("--head", options.head, "the head, likewise; of some models they are one")
      ->type_name("BITS|TYPE");
  add_shard_size(command, options.shard_bytes);
  command.add_flag("--strict", options.strict,
                   "refuse a --type or --mix that some rows cannot have, instead of giving them "
                   "llama.cpp's substitute");
  command.add_flag("--requantize", options.requantize,
                   "even a source whose weights have fewer than 8 bits already (.gguf)");
}

}  // namespace halftone
