#include "report/bits_text.h"

#include <fmt/format.h>

#include "report/metric.h"

namespace halftone {

std::string bits_text(const nlohmann::json& report) {
  const auto stored = find_metric(report, "bits_per_weight.quantized");
  if (!stored) return "-";
  const double quoted = find_metric(report, "bits_per_weight.quoted").value_or(*stored);
  return bits_text({.quantized = *stored, .quoted = quoted, .model = 0});
}

std::string bits_text(const BitsPerWeight& bits) {
  const std::string text = fmt::format("{:.3f}", bits.quantized);
  const std::string papers = fmt::format("{:.3f}", bits.quoted);
  return text == papers ? text : fmt::format("{} (quoted as {})", text, papers);
}

}  // namespace halftone
