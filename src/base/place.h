// Where outputs go: what a path leads to, and whether something can be put there.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace halftone {

// The one name of a place: no trailing slash, no "." or "..", links at its end followed, so that a
// link's target is replaced and not the link. What belongs to an output (temporary names, the
// journal, put aside data) lies beside this. Error: links in a ring.
std::filesystem::path place_of(const std::filesystem::path& path);

// The folder in which a path's place lies, "." where it has none.
std::filesystem::path parent_of(const std::filesystem::path& path);

// A path as messages name it.
std::string shown(const std::filesystem::path& path);

// Whether something has this name, be it a link that leads nowhere.
bool is_there(const std::filesystem::path& path);

// The last name of a path as it is written ("llama" of "models/llama/"), for a label.
std::string last_name(const std::filesystem::path& path);

enum class PlaceKind {
  kNothing,
  kFile,
  kFolder,
  kStream,  // a character device, a named pipe, an open descriptor (/dev/stdout): written through
  kOther,   // a socket, a block device
};
// Links are followed. Error: it cannot be told ("Permission denied").
PlaceKind kind_at(const std::filesystem::path& path);
const char* name_of(PlaceKind kind);  // "a folder"

// What is done about what is at the place of an output: go on with it, where a run has left it.
enum class Existing { kRefuse, kReplace, kResume };

// Whether `inner` is `outer` or lies inside it, whatever names lead there; they need not exist.
bool lies_within(const std::filesystem::path& inner, const std::filesystem::path& outer);

// Before long work. Errors: the place has no name, its folder is missing or takes no new file (one
// is made and removed again).
void require_creatable(const std::filesystem::path& path);
// Error: what is at the place cannot be moved aside (a mount point, another user's in /tmp).
void require_movable(const std::filesystem::path& path);

// Error: a stream that may not be written to. (It is not opened: a pipe would wait for its reader.)
void require_writable_stream(const std::filesystem::path& path);
// To what is a stream. A reader that has closed its pipe is no error.
void write_through(const std::filesystem::path& path, std::string_view text);

// with_context for files: an Error that begins with the path already (that of a file, or of one
// inside a folder) stays as it is.
template <class Work>
decltype(auto) with_path(const std::filesystem::path& path, Work&& work) {
  const std::string place = shown(path);
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    const std::string_view text = error.what();
    const bool named = text.starts_with(place + ":") || text.starts_with(place + "/") ||
                       (place.ends_with('/') && text.starts_with(place));
    if (named) throw;
    throw Error(fmt::format("{}: {}", place, error.what()));
  }
}

}  // namespace halftone
