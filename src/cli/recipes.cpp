// halftone recipes [NAME]

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/recipe_choice.h"
#include "report/text_table.h"

namespace halftone {
namespace {

std::string recipe_list() {
  TextTable table(TextTable::Align::kLeft);
  for (const auto& [name, text] : builtin_recipes())
    table.add_row({name, parse_recipe(text, name).summary});
  return table.text();
}

std::string recipe_in_full(const std::string& name) {
  const Recipe recipe = find_recipe(name);
  return fmt::format("# {}{}\n{}", recipe.name,
                     recipe.needs_calibration() ? "" : " (needs no calibration data)",
                     to_toml_with_help(recipe));
}

}  // namespace

void add_recipes(CLI::App& program, Action& action) {
  CLI::App& command =
      *program.add_subcommand("recipes", "The list of recipes, or one in full with its paper");
  const auto name = std::make_shared<std::string>();
  command.add_option("NAME", *name, "a recipe's name, or a .toml file");
  command.footer(
      "Example, a starting point for a recipe of your own:\n"
      "  halftone recipes gptq > mine.toml");
  command.callback([name, &action] {
    action = [name] {
      print_result(name->empty() ? recipe_list() : recipe_in_full(*name));
      return kDone;
    };
  });
}

}  // namespace halftone
