#include "report/own_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace halftone {
namespace {

using Json = nlohmann::json;

bool has_all(const Json& json, std::initializer_list<const char*> keys) {
  return json.is_object() &&
         std::all_of(keys.begin(), keys.end(), [&](const char* key) { return json.contains(key); });
}

bool is_own(const Json& json) {
  return has_all(json, {"model", "text", "protocol", "perplexity"}) ||  // of evaluate
         has_all(json, {"model", "images", "protocol", "accuracy"}) ||
         has_all(json, {"model", "text", "tasks", "tasks_mean"}) ||
         has_all(json, {"files", "checks", "holds"}) ||      // of verify
         has_all(json, {"halftone_version", "verified"}) ||  // of quantize
         has_all(json, {"ids", "ids_special", "decoded"});   // of tokenize
}

}  // namespace

bool is_own_report(std::string_view text) {
  if (text.empty() || text.starts_with(kHtmlHead)) return true;
  if (text.front() != '{' && text.front() != '[') return false;
  const Json first = Json::parse(text.substr(0, text.find('\n')), nullptr, false);
  if (is_own(first)) return true;  // a line each, of `tokenize` with .jsonl
  const Json whole = Json::parse(text, nullptr, false);
  const bool is_list = whole.is_array() && !whole.empty();  // of compare
  return is_list ? std::all_of(whole.begin(), whole.end(), is_own) : is_own(whole);
}

}  // namespace halftone
