// Whether a model's files are sound, and are what they should be of the model they were made from:
// the `verify` command without its printing.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/progress.h"

namespace halftone {

// One object as interface.md 7 lists it: the files with their hashes, and a list of checks, each of
// which holds or not. What cannot be read is a check that does not hold. Errors: nothing is at
// `path`; a source that cannot be opened.
nlohmann::json verify_output(const std::filesystem::path& path,
                             const std::optional<std::filesystem::path>& source,
                             Progress& progress);

// What verifying them reads.
std::vector<std::filesystem::path> inputs_of_verification(
    const std::filesystem::path& path, const std::optional<std::filesystem::path>& source);

}  // namespace halftone
