#include "cli/console.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace halftone {
namespace {

constexpr size_t kLongestLine = 4000;
constexpr int kIndent = 2;

}  // namespace

void print_result(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  const bool flushed = std::fflush(stdout) == 0;
  require((written && flushed) || errno == EPIPE, "stdout: cannot be written: {}",
          std::strerror(errno));
}

void print_note(std::string_view line) {
  fmt::print(stderr, "{}\n", printable(line, kLongestLine));
}

std::string json_text(const nlohmann::json& json) {
  return json.dump(kIndent, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace halftone
