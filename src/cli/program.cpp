#include "cli/program.h"

#include <c10/util/Exception.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <new>
#include <string>
#include <vector>

#include "base/closest.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/interrupt.h"
#include "pipeline/output.h"

namespace halftone {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  halftone quantize models/llama --out llama-w4 --calibration c4.txt\n"
    "  halftone evaluate llama-w4 --text wiki.test.txt --reference models/llama\n"
    "  halftone compare models/llama llama-w4 llama-w3 --text wiki.test.txt\n"
    "  halftone recipes gptq\n\n"
    "Exit status: 0 done; 1 the request failed; 2 the command line is wrong; 3 a --gate does not\n"
    "hold or the output did not verify; 130 interrupted (`quantize --resume` goes on).";

constexpr auto kCommands = {add_quantize, add_plan,    add_evaluate, add_compare, add_generate,
                            add_convert,  add_imatrix, add_report,   add_verify,  add_inspect,
                            add_tokenize, add_recipes, add_version};

int complain(ExitStatus status, std::string_view message) {
  print_note(fmt::format("halftone: {}", message));
  return status;
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

// libtorch reports a failed allocation as any other error.
std::string torch_message(const c10::Error& error) {
  const std::string line = first_line(error.what_without_backtrace());
  const bool memory = line.find("allocate memory") != std::string::npos ||
                      line.find("out of memory") != std::string::npos;
  return fmt::format("{}libtorch: {}", memory ? "out of memory: " : "", line);
}

// CLI11 would only say that a command is required.
void require_known_command(const CLI::App& program, int argc, char** argv) {
  std::vector<std::string> known;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; }))
    known.push_back(command->get_name());
  if (argc < 2)
    throw UsageError(
        fmt::format("expected a command: {} (see halftone --help)", fmt::join(known, ", ")));
  const std::string name = argv[1];
  if (name.rfind('-', 0) == 0 || std::count(known.begin(), known.end(), name) > 0) return;
  throw UsageError(fmt::format("unknown command {}{}; commands: {}", printable(name),
                               did_you_mean(name, known), fmt::join(known, ", ")));
}

// Parses, then acts; CLI11's own exceptions are help, version and errors of the command line.
int parse_and_run(int argc, char** argv) {
  CLI::App program("Halftone: language models in 1 to 4 bits, with little damage to their output",
                   "halftone");
  Action action;
  for (const auto& add : kCommands) add(program, action);
  require_known_command(program, argc, argv);
  program.require_subcommand(1);
  program.set_version_flag("--version", HALFTONE_VERSION);
  program.footer(kFooter);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);
    return complain(kWrongCommandLine, fmt::format("{} (see halftone --help)", error.what()));
  }
  return action();
}

}  // namespace

int run_program(int argc, char** argv) {
  install_signal_handlers();
  keep_freed_memory();
  try {
    return parse_and_run(argc, argv);
  } catch (const Interrupted& interrupted) {
    print_note(interrupted_note(interrupted.kept));
    return kInterrupted;
  } catch (const UsageError& error) {
    return complain(kWrongCommandLine, error.what());
  } catch (const VerificationError& error) {
    return complain(kGateOrReadBackFailed, error.what());
  } catch (const Error& error) {
    return complain(kRequestFailed, error.what());
  } catch (const c10::Error& error) {
    return complain(kRequestFailed, torch_message(error));
  } catch (const std::bad_alloc&) {
    return complain(kRequestFailed,
                    "out of memory: the machine has too little for this model and length");
  } catch (const std::exception& error) {
    return complain(kRequestFailed, fmt::format("unexpected: {}", first_line(error.what())));
  }
}

}  // namespace halftone
