// From the words of a template to its tree.
#pragma once

#include <string_view>

#include "text/jinja/tree.h"

namespace halftone::jinja {

// Errors, behind "line N": what this part of Jinja does not have (macros, imports, blocks, `set`
// with a body, ...), by its name; what is no Jinja at all, or not UTF-8.
std::vector<Statement> parse_template(std::string_view text);

}  // namespace halftone::jinja
