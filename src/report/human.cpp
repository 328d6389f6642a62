#include "report/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace halftone {
namespace {

constexpr int kMostDecimals = 9;

// Decimals that show two significant digits of `value`.
int decimals_for(double value) {
  return std::clamp(1 - static_cast<int>(std::floor(std::log10(value))), 0, kMostDecimals);
}

bool is_usable(std::optional<double> standard_error) {
  return standard_error && std::isfinite(*standard_error) && *standard_error > 0;
}

}  // namespace

std::string human_bytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; unit + 1 < kUnits.size() && bytes >= 1024; ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes)
                   : fmt::format("{:.{}f} {}", bytes, bytes < 100 ? 1 : 0, kUnits[unit]);
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  if (seconds < 10) return fmt::format("{:.2g} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string human_estimate(double value, std::optional<double> standard_error) {
  if (!is_usable(standard_error)) return fmt::format("{:.5g}", value);
  const int decimals = decimals_for(*standard_error);
  return fmt::format("{:.{}f} +- {:.{}f}", value, decimals, *standard_error, decimals);
}

std::string human_share(double value, std::optional<double> standard_error) {
  if (!is_usable(standard_error)) return fmt::format("{:.2f} %", value * 100);
  return fmt::format("{:.2f} % +- {:.2f} %", value * 100, *standard_error * 100);
}

std::string human_line(std::string text, size_t most) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return printable(text, most);
}

}  // namespace halftone
