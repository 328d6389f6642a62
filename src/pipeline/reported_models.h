// What runs and evaluations have left behind, gathered for one page.
#pragma once

#include <filesystem>
#include <vector>

#include "report/runs_html.h"

namespace halftone {

// Each is an output of `quantize` (folder or .gguf file), or a file that --report or --json of
// `quantize`, `evaluate` or `compare` has written. What is about one model, by its path, comes
// together, in the order in which models are first named.   Errors: anything else.
std::vector<ReportedModel> read_reported_models(const std::vector<std::filesystem::path>& paths);

}  // namespace halftone
