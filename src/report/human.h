// Numbers as people read them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace halftone {

std::string human_bytes(double bytes);       // "512 B", "91.4 MiB"
std::string human_duration(double seconds);  // "0.42 s", "38 s", "12 min 5 s", "3 h 20 min"

// "20.363 +- 0.012": as many decimals as the standard error has two digits for. Without one: five
// significant digits.
std::string human_estimate(double value, std::optional<double> standard_error);

// "91.20 % +- 0.11 %" of a share in [0, 1].
std::string human_share(double value, std::optional<double> standard_error);

// A text on one line, of `most` bytes at most, control characters escaped.
std::string human_line(std::string text, size_t most);

}  // namespace halftone
