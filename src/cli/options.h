// Options that several commands share, each declared once. Numbers are parsed strictly: what is not
// a whole number in its range is a UsageError that says what was expected.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/compute.h"
#include "pipeline/text_scores.h"
#include "text/text_mixture.h"

namespace CLI {
class App;
}

namespace halftone {

struct ExecutionOptions {
  std::string device = "cpu";
  Compute compute = Compute::kAuto;
  int threads = 0;
};

// --device, --compute, --threads.
void add_execution_options(CLI::App& command, ExecutionOptions& options);

// A whole number in [least, most]; `target` keeps its value where the option is absent.
struct IntegerOption {
  std::string name, help;
  int64_t least = 0, most = 0;
};
void add_integer(CLI::App& command, const IntegerOption& option, int64_t& target);

// A number in [least, most], likewise.
struct NumberOption {
  std::string name, help;
  double least = 0, most = 0;
};
void add_number(CLI::App& command, const NumberOption& option, double& target);
void add_number(CLI::App& command, const NumberOption& option, std::optional<double>& target);

// --seed: any unsigned 64-bit number.
void add_seed(CLI::App& command, uint64_t& target,
              const char* help = "of the draw of calibration windows (0)");

// --shard-size: bytes, a number and M or G (of 1000 each, as llama.cpp counts).
void add_shard_size(CLI::App& command, std::optional<int64_t>& target);

// --length: tokens a window. --windows: how many.
void add_length(CLI::App& command, int64_t& target);
void add_windows(CLI::App& command, int64_t& target);

// --protocol: how a text is cut and scored.
void add_protocol(CLI::App& command, Protocol& target);

// --calibration: texts and their weights, as often as it is given; none: the one that comes with
// the program, which may also be named. --sequences: windows.
void add_calibration(CLI::App& command, std::vector<WeighedText>& target);
void add_sequences(CLI::App& command, int64_t& target);

// --set KEY=VALUE, of a recipe.
void add_settings(CLI::App& command, std::vector<std::string>& target);

// The positional models of a command; --text, once or as often as it is given.
void add_model(CLI::App& command, std::string& target);
void add_text(CLI::App& command, std::string& target, bool required = true);
void add_texts(CLI::App& command, std::vector<std::string>& target, bool required = true);

}  // namespace halftone
