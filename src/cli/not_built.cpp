// Commands of the interface that do not exist yet: each says so, whatever its arguments.

#include <CLI/CLI.hpp>
#include <string>

#include "base/error.h"
#include "cli/commands.h"

namespace halftone {

void add_commands_not_built(CLI::App& program, Action& action) {
  for (const std::string name : {"plan"}) {
    CLI::App& command = *program.add_subcommand(name, "Not built yet");
    command.allow_extras();
    command.callback([name, &action] {
      action = [name]() -> int { fail("{}: this command is not built yet", name); };
    });
  }
}

}  // namespace halftone
