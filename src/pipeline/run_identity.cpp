#include "pipeline/run_identity.h"

#include <c10/core/DeviceType.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/sha256.h"

namespace halftone {
namespace {

using nlohmann::json;

std::string text_sha256(const std::string& text) {
  return sha256_hex(std::as_bytes(std::span(text.data(), text.size())));
}

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// "then X, now Y": the first line in which two values differ.
std::string difference(const json& then, const json& now) {
  const std::string before = text_of(then), after = text_of(now);
  std::string_view a = before, b = after, line_a, line_b;
  do {
    line_a = next_line(a);
    line_b = next_line(b);
  } while (line_a == line_b && !(a.empty() && b.empty()));
  return fmt::format("then {}, now {}", printable(line_a), printable(line_b));
}

}  // namespace

RunIdentity run_identity(const QuantizeRequest& request, const OpenedModel& model,
                         const std::optional<CalibrationIdentity>& calibration,
                         const Execution& execution, double least_scale) {
  RunIdentity identity{.halftone_version = HALFTONE_VERSION,
                       .model_fingerprint = model.fingerprint(),
                       .recipe_name = request.recipe.name,
                       .recipe_toml = to_toml(request.recipe),
                       .recipe_sha256 = "",
                       .calibration = calibration,
                       .least_scale = least_scale,
                       .matrix_types = {},
                       .imatrix_sha256 = "",
                       .compute = std::nullopt,
                       .products = std::nullopt,
                       .device = c10::DeviceTypeName(execution.device.type(), /*lower_case=*/true),
                       .threads = execution.threads,
                       .seed = request.seed};
  identity.recipe_sha256 = text_sha256(identity.recipe_toml);
  if (!calibration) return identity;
  identity.compute = dtype_name(execution.dtype);
  identity.products = name_of(execution.products);
  return identity;
}

json comparable(json identity) {
  if (!identity.is_object()) return json::object();
  if (json& calibration = identity["calibration"]; calibration.is_object()) {
    calibration.erase("text");
    if (calibration.contains("texts"))
      for (json& text : calibration["texts"])
        if (text.is_object()) text.erase("text");
  }
  if (identity["recipe"].is_object()) identity["recipe"] = identity["recipe"]["toml"];
  return identity;
}

std::string first_change(const json& begun, const json& identity) {
  const json then = begun.flatten(), asked = identity.flatten();
  for (const auto& [key, now] : asked.items()) {
    const auto found = then.find(key);
    const json value = found == then.end() ? json() : *found;
    if (value != now) return fmt::format("{}: {}", key.substr(1), difference(value, now));
  }
  return "";
}

}  // namespace halftone
