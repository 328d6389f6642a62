// An output in several files, BASE-00001-of-0000N.gguf and so on beside each other: either all of
// them are there, or none is.
#pragma once

#include <filesystem>
#include <vector>

#include "base/place.h"

namespace halftone {

// The parts that there are beside `out`, BASE.gguf; ascending by name.
std::vector<std::filesystem::path> parts_beside(const std::filesystem::path& out);

// The file that an output is opened by: the first of its parts where there are parts and no file
// called `out`, else `out`.
std::filesystem::path file_to_open(const std::filesystem::path& out);

// Error: parts that are not to be replaced, or are no output of this program; a file called `out`
// itself, which would be taken for the output. Parts of this program without a first one are what a
// process left that was killed in commit_parts: whoever resumes replaces them too.
void require_no_parts(const std::filesystem::path& out, Existing existing);

// Moves the files in `staging` to their places beside `out`, in place of the parts there: the first
// one, without which the others are nothing, last. Error: one cannot be moved; then all is as it
// was before.
void commit_parts(const std::filesystem::path& staging, const std::filesystem::path& out);

}  // namespace halftone
