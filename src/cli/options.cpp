#include "cli/options.h"

#include <charconv>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <limits>

#include "cli/exit_status.h"
#include "pipeline/quantize_request.h"

namespace halftone {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr int64_t kMostWindows = int64_t{1} << 32;
constexpr int64_t kMostThreads = 1024;
constexpr int64_t kMostShardUnits = 1'000'000;
constexpr const char* kTexts =
    "UTF-8 text, .jsonl or .json with text or messages fields, or .tokens";

template <class Number>
Number parse_integer(const std::string& name, const std::string& text, Number least, Number most) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool ok = !text.empty() && error == std::errc() && stop == end;
  if (!ok || value < least || value > most)
    throw UsageError(fmt::format("{}: expected a whole number from {} to {}, found {}", name, least,
                                 most, text.empty() ? "nothing" : printable(text)));
  return value;
}

void check_device(const std::string& text) {
  constexpr std::string_view kCuda = "cuda";
  if (text == "cpu" || text == kCuda) return;
  const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5 && text.size() < 9 &&
                        text.find_first_not_of("0123456789", 5) == std::string::npos;
  if (!numbered)
    throw UsageError(
        fmt::format("--device: expected cpu, cuda or cuda:N, found {}", printable(text)));
}

}  // namespace

void add_integer(CLI::App& command, const IntegerOption& option, int64_t& target) {
  const auto set = [option, &target](const std::string& text) {
    target = parse_integer(option.name, text, option.least, option.most);
  };
  command.add_option_function<std::string>(option.name, set, option.help)->type_name("N");
}

namespace {

template <class Target>
void add_number_to(CLI::App& command, const NumberOption& option, Target& target) {
  const auto set = [option, &target](const std::string& text) {
    double value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && stop == text.data() + text.size();
    if (!whole || !(value >= option.least && value <= option.most))
      throw UsageError(fmt::format("{}: expected a number from {} to {}, found {}", option.name,
                                   option.least, option.most,
                                   text.empty() ? "nothing" : printable(text)));
    target = value;
  };
  command.add_option_function<std::string>(option.name, set, option.help)->type_name("X");
}

}  // namespace

void add_number(CLI::App& command, const NumberOption& option, double& target) {
  add_number_to(command, option, target);
}
void add_number(CLI::App& command, const NumberOption& option, std::optional<double>& target) {
  add_number_to(command, option, target);
}

void add_seed(CLI::App& command, uint64_t& target, const char* help) {
  const auto set = [&target](const std::string& text) {
    target = parse_integer<uint64_t>("--seed", text, 0, std::numeric_limits<uint64_t>::max());
  };
  command.add_option_function<std::string>("--seed", set, help)->type_name("N");
}

void add_shard_size(CLI::App& command, std::optional<int64_t>& target) {
  const auto set = [&target](const std::string& text) {
    const char unit = text.empty() ? '\0' : text.back();
    if (unit != 'M' && unit != 'G')
      throw UsageError(fmt::format("--shard-size: expected a number and M or G (4G), found {}",
                                   text.empty() ? "nothing" : printable(text)));
    const int64_t bytes = unit == 'M' ? 1'000'000 : 1'000'000'000;
    target = bytes * parse_integer<int64_t>("--shard-size", text.substr(0, text.size() - 1), 1,
                                            kMostShardUnits);
  };
  command
      .add_option_function<std::string>("--shard-size", set,
                                        "gguf: most bytes of tensors in a file, as 500M or 4G; "
                                        "more go to NAME-00002-of-0000N.gguf "
                                        "and so on (one file)")
      ->type_name("SIZE");
}

void add_length(CLI::App& command, int64_t& target) {
  add_integer(
      command,
      {"--length", "tokens a window (2048, or the model's context if shorter)", 2, kMostTokens},
      target);
}

void add_windows(CLI::App& command, int64_t& target) {
  add_integer(command, {"--windows", "windows from the start of the text (all)", 1, kMostWindows},
              target);
}

void add_protocol(CLI::App& command, Protocol& target) {
  const auto set = [&target](const std::string& name) {
    if (name != "paper" && name != "llama")
      throw UsageError(fmt::format("--protocol {}: expected paper or llama", name));
    target = name == "llama" ? Protocol::kLlama : Protocol::kPaper;
  };
  command
      .add_option_function<std::string>(
          "--protocol", set,
          "llama: cut, scored and printed as llama-perplexity does, windows of 512 tokens (paper)")
      ->type_name("paper|llama");
}

void add_execution_options(CLI::App& command, ExecutionOptions& options) {
  const auto set_device = [&options](const std::string& text) {
    check_device(text);
    options.device = text;
  };
  command.add_option_function<std::string>("--device", set_device, "cpu, cuda or cuda:N (cpu)")
      ->type_name("DEVICE");
  const auto set_compute = [&options](const std::string& text) {
    options.compute = as_usage_error("--compute", [&] { return parse_compute(text); });
  };
  command
      .add_option_function<std::string>("--compute", set_compute,
                                        "auto, float32 or bfloat16: precision of the model (auto)")
      ->type_name("TYPE");
  const auto set_threads = [&options](const std::string& text) {
    options.threads = static_cast<int>(parse_integer<int64_t>("--threads", text, 0, kMostThreads));
  };
  command
      .add_option_function<std::string>("--threads", set_threads,
                                        "processor threads (0: as many as there are cores)")
      ->type_name("N");
}

void add_model(CLI::App& command, std::string& target) {
  command.add_option("MODEL", target, "model folder, or .gguf file")->required();
}

void add_calibration(CLI::App& command, std::vector<WeighedText>& target) {
  const auto set = [&target](const std::vector<std::string>& texts) {
    target.clear();
    for (const std::string& text : texts)
      target.push_back(as_usage_error("--calibration", [&] { return weighed_text(text); }));
    if (target.size() == 1 && target.front().file.empty()) target.clear();
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--calibration", set,
          fmt::format("{}; of a vision transformer images (.bin, or a folder of class folders); "
                      "{}: the text that comes with the program ({}). Several share the windows, "
                      "FILE:WEIGHT by weight (1)",
                      kTexts, kBuiltinText, kBuiltinText))
      ->allow_extra_args(false)
      ->type_name("FILE[:WEIGHT]");
}

void add_sequences(CLI::App& command, int64_t& target) {
  add_integer(command, {"--sequences", "calibration windows (128)", 1, kMostSequences}, target);
}

void add_settings(CLI::App& command, std::vector<std::string>& target) {
  command.add_option("--set", target, "changes one key of the recipe; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_text(CLI::App& command, std::string& target, bool required) {
  command.add_option("--text", target, kTexts)->required(required)->type_name("FILE");
}

void add_texts(CLI::App& command, std::vector<std::string>& target, bool required) {
  const auto set = [&target](const std::vector<std::string>& texts) {
    for (const std::string& text : texts)
      if (text.empty()) throw UsageError("--text: expected a file, found nothing");
    target = texts;
  };
  command
      .add_option_function<std::vector<std::string>>(
          "--text", set, std::string(kTexts) + "; of several each also counts by itself")
      ->required(required)
      ->allow_extra_args(false)
      ->type_name("FILE");
}

}  // namespace halftone
