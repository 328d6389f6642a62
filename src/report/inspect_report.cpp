#include "report/inspect_report.h"

#include <fmt/format.h>

#include "report/human.h"
#include "report/metric.h"
#include "report/text_table.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

std::string value_text(const std::string& key, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (key == "bytes" && value.is_number()) return human_bytes(value.get<double>());
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Objects become one row a member: "bits_per_weight.model".
void add_rows(TextTable& table, const std::string& prefix, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (prefix.empty() && (key == "tensors" || key == "recipe" || key == "notes")) continue;
    if (value.is_object())
      add_rows(table, prefix + key + ".", value);
    else
      table.add_row({prefix + key, value_text(key, value)});
  }
}

std::string shape_text(const Json& shape) {
  std::string text;
  for (const Json& size : shape) text += (text.empty() ? "" : " x ") + size.dump();
  return text.empty() ? "scalar" : text;
}

std::string tensors_text(const Json& tensors) {
  TextTable table;
  table.add_row({"tensor", "dtype", "shape", "bytes"});
  table.add_rule();
  for (const Json& tensor : tensors)
    table.add_row({find_text(tensor, "name"), find_text(tensor, "dtype"),
                   shape_text(tensor.value("shape", Json::array())),
                   human_bytes(find_metric(tensor, "bytes").value_or(0))});
  return table.text();
}

}  // namespace

std::string inspect_text(const Json& inspection) {
  TextTable table(TextTable::Align::kLeft);
  add_rows(table, "", inspection);
  for (const std::string& note : notes_in(inspection)) table.add_row({"note", note});
  std::string text = table.text();
  if (const auto recipe = find_text(inspection, "recipe"); !recipe.empty())
    text += fmt::format("\n{}", recipe);
  if (const auto tensors = inspection.find("tensors"); tensors != inspection.end())
    text += fmt::format("\n{}", tensors_text(*tensors));
  return text;
}

}  // namespace halftone
