// halftone version

#include <ATen/Context.h>
#include <torch/version.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "kernels/instruction_set.h"

namespace halftone {
namespace {

std::string device_list() {
  std::string devices = "cpu";
  const auto count = at::globalContext().hasCUDA() ? at::getNumGPUs() : 0;
  for (size_t index = 0; index < static_cast<size_t>(count); ++index)
    devices += fmt::format(", cuda:{}", index);
  return devices;
}

int version() {
  print_result(fmt::format("halftone {}\nlibtorch {}\ndevices {}\ninstructions {}\n",
                           HALFTONE_VERSION, TORCH_VERSION, device_list(), instruction_set()));
  return kDone;
}

}  // namespace

void add_version(CLI::App& program, Action& action) {
  program.add_subcommand("version", "Version, libtorch, devices, instruction set in use")
      ->callback([&action] { action = version; });
}

}  // namespace halftone
