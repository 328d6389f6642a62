// halftone version

#include <ATen/Context.h>
#include <torch/version.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "kernels/instruction_set.h"
#include "model/compute.h"

namespace halftone {
namespace {

std::string device_list() {
  std::string devices = "cpu";
  const auto count = at::globalContext().hasCUDA() ? at::getNumGPUs() : 0;
  for (size_t index = 0; index < static_cast<size_t>(count); ++index)
    devices += fmt::format(", cuda:{}", index);
  return devices;
}

// What `quantize` chooses on all cores where it is not told, and the times it is chosen by.
std::string choices() {
  const Execution execution = choose_execution("cpu", Compute::kAuto, 0, true);
  std::string products(name_of(execution.products));
  for (const ProductTimes& times : product_times())
    if (times.mixed > 0)
      products += fmt::format("{}{} x {} x {}: float32 {:.2f} ms, bfloat16 {:.2f} ms",
                              &times == &product_times().front() ? " (" : "; ", times.rows,
                              times.columns, times.summed, 1e3 * times.float32, 1e3 * times.mixed);
  if (products.find('(') != std::string::npos) products += ")";
  const LinearTimes& linear = linear_times();
  return fmt::format("products {}\ncompute {} (a layer: float32 {:.2f} ms, bfloat16 {:.2f} ms)\n",
                     products, dtype_name(execution.dtype), 1e3 * linear.float32,
                     1e3 * linear.bfloat16);
}

int version() {
  print_result(fmt::format("halftone {}\nlibtorch {}\ndevices {}\ninstructions {}\n{}",
                           HALFTONE_VERSION, TORCH_VERSION, device_list(), instruction_set(),
                           choices()));
  return kDone;
}

}  // namespace

void add_version(CLI::App& program, Action& action) {
  program
      .add_subcommand("version",
                      "Version, libtorch, devices, instruction set, and what is chosen by speed")
      ->callback([&action] { action = version; });
}

}  // namespace halftone
