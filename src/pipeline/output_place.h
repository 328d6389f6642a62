// Where a command may write: never onto, around or into what it reads, and in the place of nothing
// but its own.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/place.h"

namespace halftone {

inline constexpr const char* kReportFile = "halftone.json";  // of every output
inline constexpr const char* kVersionKey = "halftone_version";

// OUT.journal, whether or not there is one (pipeline/journal.h).
std::filesystem::path journal_folder(const std::filesystem::path& out);

// What an output says of the run that made it: the kReportFile of a folder, the key of a GGUF file;
// null: there is none. Error: one that is damaged.
nlohmann::json report_of_output(const std::filesystem::path& out);
// Where that stands, for messages.
std::string place_of_report(const std::filesystem::path& out);

// A model folder, and the files that its links lead to.
std::vector<std::filesystem::path> files_of_model(const std::filesystem::path& model);

// Error: `output` is, holds or lies inside one of the others.
void require_apart(const std::filesystem::path& output,
                   const std::vector<std::filesystem::path>& others);

// Error: something is at `out` that is neither an output of this program (a folder without other
// models in it, a GGUF file) nor an empty folder; or it cannot be moved aside.
void require_replaceable(const std::filesystem::path& out);

// Before any work; nothing is changed. Errors: a name that is none ("", "/"), the folder that the
// command runs in, or one above it; those of the functions above; what exists and is not to be
// replaced; a place where nothing can be written.
// kind: what the output is going to be; a file is a GGUF file and is called so
void require_output(const std::filesystem::path& out, PendingOutput::Kind kind, Existing existing,
                    const std::vector<std::filesystem::path>& inputs);

}  // namespace halftone
