// Expressions of a template, loosest part first, as Jinja binds them.
#pragma once

#include "text/jinja/tree.h"
#include "text/jinja/words.h"

namespace halftone::jinja {

// A whole expression. Errors, behind "line N": what is none, and what is not known here.
ExpressionPtr parse_expression(Words& words);

// One without "x if y" at its end: what `for` goes through, whose `if` is another one.
ExpressionPtr parse_sequence(Words& words);

}  // namespace halftone::jinja
