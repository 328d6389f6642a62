// halftone generate MODEL --prompt TEXT

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/text_target.h"
#include "pipeline/generate_text.h"
#include "pipeline/output_place.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "The text comes as it is made: standard output holds what the model says, nothing else. All\n"
    "weights are in memory, de-quantized; --compute bfloat16 needs half of it.\n\n"
    "Examples:\n"
    "  halftone generate llama-w4 --prompt \"The capital of France is\"\n"
    "  halftone generate llama-q4.gguf --prompt \"Once upon a time\" --temperature 0.8 --seed 7\n"
    "  halftone generate qwen-w3 --chat --prompt \"What is a halftone?\"";

constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr double kGreatestTemperature = 1000;

struct Options {
  std::string model, prompt, system, json;
  bool chat = false;
  std::vector<std::string> stops;
  int64_t max_tokens = 64;
  Sampling sampling;
  ExecutionOptions execution;
};

// A number in [least, most].
GenerateRequest make_request(const Options& options) {
  for (const std::string& stop : options.stops)
    if (stop.empty()) throw UsageError("--stop: expected a text, found nothing");
  if (!options.system.empty() && !options.chat)
    throw UsageError("--system: is of chats: add --chat");
  GenerateRequest request;
  request.model = options.model;
  request.prompt = options.prompt;
  request.chat = options.chat;
  request.system = options.system;
  request.max_tokens = options.max_tokens;
  request.sampling = options.sampling;
  request.stops = options.stops;
  request.device = options.execution.device;
  request.compute = options.execution.compute;
  request.threads = options.execution.threads;
  return request;
}

int generate_command(const Options& options) {
  const GenerateRequest request = make_request(options);
  const TextTarget json(options.json, files_of_model(request.model));
  nlohmann::json result;
  {
    ConsoleProgress progress;  // whose scope hears Ctrl-C
    const auto stop_if_asked = [] {
      if (interrupt_requested()) throw Interrupted{};
    };
    const auto say = [&](std::string_view text) {
      if (!json.is_stdout()) print_result(text);
    };
    result = generate_text(request, progress, say, stop_if_asked);
  }
  if (!json.is_stdout()) print_result("\n");
  const auto tokens = result.at("ids").size();
  const auto& speed = result.at("tokens_per_second");
  print_note(fmt::format(
      "{} tokens, {}; {} a second", tokens, result.at("finish").get<std::string>(),
      speed.is_number() ? fmt::format("{:.1f}", speed.get<double>()) : std::string("-")));
  for (const auto& note : result.value("notes", nlohmann::json::array()))
    print_note(fmt::format("note: {}", note.get<std::string>()));
  json.write(json_text(result));
  return kDone;
}

}  // namespace

void add_generate(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("generate", "Let any model go on with a text, for a first look");
  const auto options = std::make_shared<Options>();
  add_model(command, options->model);
  command.add_option("--prompt", options->prompt, "the text to go on with")
      ->required()
      ->type_name("TEXT");
  command.add_flag("--chat", options->chat,
                   "the prompt is a user's turn, put into the model's own chat template");
  command.add_option("--system", options->system, "with --chat: what the model is told before")
      ->type_name("TEXT");
  add_integer(command, {"--max-tokens", "tokens at most (64)", 1, kMostTokens},
              options->max_tokens);
  add_number(command,
             {"--temperature", "draw tokens, the more freely the higher; 0 takes the likeliest (0)",
              0, kGreatestTemperature},
             options->sampling.temperature);
  add_number(command,
             {"--top-p", "draw among the likeliest tokens that are so probable together (1)", 0, 1},
             options->sampling.top_p);
  add_seed(command, options->sampling.seed, "of the draws (0)");
  command.add_option("--stop", options->stops, "ends before this text; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  add_target(command, {"--json", "text, ids and times as JSON; - is stdout"}, options->json);
  add_execution_options(command, options->execution);
  command.footer(kFooter);
  command.callback(
      [options, &action] { action = [options] { return generate_command(*options); }; });
}

}  // namespace halftone
