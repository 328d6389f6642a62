#include "cli/bit_target_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <CLI/CLI.hpp>
#include <cmath>
#include <utility>

#include "base/place.h"
#include "cli/console.h"
#include "cli/console_progress.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "pipeline/allocate_bits.h"

namespace halftone {
namespace {

constexpr double kLeastBits = 0.1, kMostBits = 32, kMostBytes = 1e15;
constexpr double kLeastKl = 1e-6, kMostKl = 100;
constexpr std::string_view kTargets = "--target-bits, --target-size or --target-kl";

// "300MiB", "4G", "1500000000"
int64_t parse_size(const std::string& text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1},     {"M", 1e6},       {"G", 1e9},      {"MB", 1e6},
      {"GB", 1e9}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const std::string_view unit(stop, static_cast<size_t>(end - stop));
  const auto found = std::find_if(std::begin(kUnits), std::end(kUnits),
                                  [&](const auto& known) { return known.first == unit; });
  const double bytes = found == std::end(kUnits) ? NAN : number * found->second;
  if (error != std::errc() || !(bytes >= 1 && bytes <= kMostBytes))
    throw UsageError(fmt::format("--target-size: expected a size such as 300MiB or 4G, found {}",
                                 text.empty() ? "nothing" : printable(text)));
  return static_cast<int64_t>(bytes);
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names = {""};
  for (const char c : list)
    if (c == ',')
      names.emplace_back();
    else if (c != ' ')
      names.back() += c;
  return names;
}

// "2 bits 31 %, 4 bits 69 %"
std::string shares_text(const Allocation& allocation) {
  std::string text;
  for (const auto& [candidate, share] : allocation.shares)
    text += fmt::format("{}{} {:.0f} %", text.empty() ? "" : ", ", candidate, 100 * share);
  return text;
}

void print_allocation(const Allocation& allocation) {
  print_note(fmt::format("chosen: {:.4f} bits a weight ({} of the weights), estimated KL {:.3g}",
                         allocation.bits, shares_text(allocation), allocation.kl));
  if (const auto& alike = allocation.alike)
    print_note(fmt::format("all alike: {} at {:.4f} bits a weight, estimated KL {:.3g}",
                           alike->candidate, alike->bits, alike->kl));
  print_note(fmt::format("the same again: --recipe {} --format {}",
                         shown(*allocation.request.recipe_file), allocation.request.format));
}

}  // namespace

void add_bit_target_options(CLI::App& command, BitTargetOptions& options) {
  BitTarget& target = options.target;
  add_number(command,
             {"--target-bits",
              "bits a weight of the linears, all that is stored counted: what each one gets is "
              "chosen by what it costs, measured on the calibration text",
              kLeastBits, kMostBits},
             target.bits);
  command
      .add_option_function<std::string>(
          "--target-size", [&target](const std::string& text) { target.bytes = parse_size(text); },
          "the same for the size of all tensors: 300MiB, 4G")
      ->type_name("SIZE");
  add_number(
      command,
      {"--target-kl", "the fewest bits whose estimated KL (nats a token) is no more than that",
       kLeastKl, kMostKl},
      target.kl);
  command
      .add_option_function<std::string>(
          "--candidates",
          [&target](const std::string& list) {
            if (list.empty())
              throw UsageError(
                  "--candidates: expected bits or types with commas between them, "
                  "found nothing");
            target.candidates = names_in(list);
          },
          "what linears may get (2,3,4,5,6,8, or of a GGUF file Q2_K,Q3_K,Q4_K,Q5_K,Q6_K,Q8_0)")
      ->type_name("LIST");
  const auto add_file = [&](const char* name, const char* help, std::filesystem::path& file) {
    command
        .add_option_function<std::string>(
            name,
            [name, &file](const std::string& text) {
              if (text.empty())
                throw UsageError(fmt::format("{}: expected a file, found nothing", name));
              file = text;
            },
            help)
        ->type_name("FILE");
  };
  add_file("--recipe-out", "the chosen recipe, to read, edit and use again (OUT.recipe.toml)",
           target.recipe);
  add_file("--sensitivities",
           "what was measured: read if it is there, else written (OUT.sensitivities.json)",
           target.sensitivities);
}

void require_bit_target(const BitTargetOptions& options, const QuantizeOptions& beside) {
  const BitTarget& target = options.target;
  if (int{target.bits.has_value()} + int{target.bytes.has_value()} + int{target.kl.has_value()} > 1)
    throw UsageError(fmt::format("{}: expected one of them, found several", kTargets));
  const auto refuse = [](bool given, std::string_view option, std::string_view why) {
    if (given) throw UsageError(fmt::format("{}{}", option, why));
  };
  if (!options.is_asked()) {
    const std::string alone = fmt::format(": only with {}", kTargets);
    refuse(!target.candidates.empty(), "--candidates", alone);
    refuse(!target.recipe.empty(), "--recipe-out", alone);
    refuse(!target.sensitivities.empty(), "--sensitivities", alone);
    return;
  }
  const std::string chosen = fmt::format(" with {}: these choose it", kTargets);
  refuse(beside.bits.has_value(), "--bits", chosen);
  refuse(!beside.type.empty(), "--type", chosen);
  refuse(!beside.mix.empty(), "--mix", chosen);
  for (const std::string& setting : beside.settings)
    refuse(setting.starts_with("grid.bits="), "--set grid.bits", chosen);
  refuse(!beside.imatrix.empty(), "--imatrix",
         fmt::format(" with {}: these measure on a text", kTargets));
}

QuantizeRequest with_chosen_bits(const QuantizeRequest& request, const BitTargetOptions& options) {
  if (!options.is_asked()) return request;
  ConsoleProgress progress;
  const Allocation allocation = allocate_bits(request, options.target, progress);
  print_allocation(allocation);
  return allocation.request;
}

}  // namespace halftone
