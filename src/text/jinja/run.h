// Runs a parsed template.
#pragma once

#include <string>

#include "text/jinja/tree.h"

namespace halftone::jinja {

// What the template writes with these variables (a dict). Errors, behind "line N": what the
// template itself raises; an operation on values that it is not for; a name that is called and not
// known; more work than any chat takes.
std::string run_template(const std::vector<Statement>& statements, const Value& variables);

}  // namespace halftone::jinja
