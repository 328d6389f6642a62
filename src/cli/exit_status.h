// What the program's exit status says.
#pragma once

#include "base/error.h"

namespace halftone {

enum ExitStatus : int {
  kDone = 0,
  kRequestFailed = 1,
  kWrongCommandLine = 2,
  kGateOrReadBackFailed = 3,
  kInterrupted = 130,
};

// The command line is wrong by itself, whatever the files hold.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Runs `work`; an Error out of it becomes a UsageError with `option` in front.
template <class Work>
decltype(auto) as_usage_error(std::string_view option, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", option, error.what()));
  }
}

}  // namespace halftone
