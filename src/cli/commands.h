// The list of commands. Each function declares one command's options and, if that command is
// called, sets `action` to what it does; an action returns the exit status.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace halftone {

using Action = std::function<int()>;

void add_quantize(CLI::App& program, Action& action);
void add_plan(CLI::App& program, Action& action);
void add_evaluate(CLI::App& program, Action& action);
void add_compare(CLI::App& program, Action& action);
void add_convert(CLI::App& program, Action& action);
void add_generate(CLI::App& program, Action& action);
void add_imatrix(CLI::App& program, Action& action);
void add_report(CLI::App& program, Action& action);
void add_verify(CLI::App& program, Action& action);
void add_inspect(CLI::App& program, Action& action);
void add_tokenize(CLI::App& program, Action& action);
void add_recipes(CLI::App& program, Action& action);
void add_version(CLI::App& program, Action& action);

}  // namespace halftone
