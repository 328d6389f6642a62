// Which engines load an output by its format and grid, as it was seen with one version of each
// (results.md "Against the field's own libraries"). Which architectures they know is not asked.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "format/format.h"

namespace halftone {

struct Engine {
  std::string_view name, version;
  // Why it does not load what this format makes of the plan; one line, empty: it does.
  std::string (*refusal)(const Format& format, const OutputPlan& plan);
};

std::span<const Engine> engines();

}  // namespace halftone
