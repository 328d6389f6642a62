// What went wrong outside the program: a file, an option, memory, a device.
//
// A message reads "place: expected, actual, likely cause" on one line. Each level adds its context
// once (file -> tensor -> layer) with `with_context`; only cli/main catches.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace halftone {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Error with a formatted message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

// Throws Error with a formatted message unless `ok`.
template <class... Args>
void require(bool ok, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) fail(text, std::forward<Args>(args)...);
}

// Runs `work`; an Error out of it gets "place: " put in front.
template <class Work>
decltype(auto) with_context(std::string_view place, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", place, error.what()));
  }
}

// Text from outside made fit for a one-line message: control characters escaped, cut at `limit`
// bytes (at a UTF-8 boundary; invalid bytes become \xNN).
std::string printable(std::string_view text, size_t limit = 80);

}  // namespace halftone
