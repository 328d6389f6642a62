#include "report/run_report.h"

#include <limits>

#include "base/error.h"

namespace halftone {
namespace {

using Json = nlohmann::json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

// Null is how JSON writes a number that is none.
double number(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

template <class T>
T member(const Json& json, const char* key) {
  return json.at(key).get<T>();
}

template <class T>
T member_or(const Json& json, const char* key, T fallback) {
  const auto found = json.find(key);
  return found == json.end() ? fallback : found->get<T>();
}

std::optional<double> number_if(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return std::nullopt;
  return number(*found);
}

std::optional<std::string> text_or_null(const Json& json, const char* key) {
  const Json& value = json.at(key);
  if (value.is_null()) return std::nullopt;
  return value.get<std::string>();
}

CalibrationText text_of(const Json& json) {
  return {.text = member<std::string>(json, "text"),
          .ids_sha256 = member<std::string>(json, "ids_sha256"),
          .tokenizer = member<std::string>(json, "tokenizer"),
          .round_trip = member<bool>(json, "round_trip"),
          .bos = member<bool>(json, "bos"),
          .weight = member_or<double>(json, "weight", 1),
          .sequences = member<int64_t>(json, "sequences")};
}

// One text stands in the calibration itself.
std::vector<CalibrationText> texts_of(const Json& json) {
  const auto several = json.find("texts");
  if (several == json.end()) return {text_of(json)};
  std::vector<CalibrationText> texts;
  for (const Json& text : *several) texts.push_back(text_of(text));
  return texts;
}

CalibrationIdentity calibration_of(const Json& json) {
  return {.texts = texts_of(json),
          .sequences = member<int64_t>(json, "sequences"),
          .length = member<int64_t>(json, "length"),
          .seed = member<uint64_t>(json, "seed"),
          .windows_sha256 = member<std::string>(json, "windows_sha256"),
          .held_out_sequences = member_or<int64_t>(json, "held_out_sequences", 0)};
}

RunIdentity identity_of(const Json& json) {
  const Json& recipe = json.at("recipe");
  RunIdentity identity{.halftone_version = member<std::string>(json, "halftone_version"),
                       .model_fingerprint = member<std::string>(json.at("model"), "fingerprint"),
                       .recipe_name = member<std::string>(recipe, "name"),
                       .recipe_toml = member<std::string>(recipe, "toml"),
                       .recipe_sha256 = member<std::string>(recipe, "sha256"),
                       .calibration = std::nullopt,
                       .least_scale = number(json.at("least_scale")),
                       .matrix_types = {},
                       .imatrix_sha256 = "",
                       .compute = text_or_null(json, "compute"),
                       .products = text_or_null(json, "products"),
                       .device = member<std::string>(json, "device"),
                       .threads = member<int>(json, "threads"),
                       .seed = member<uint64_t>(json, "seed")};
  if (const Json& calibration = json.at("calibration"); !calibration.is_null())
    identity.calibration = calibration_of(calibration);
  if (json.contains("matrix_types"))
    identity.matrix_types = member<std::map<std::string, std::string>>(json, "matrix_types");
  identity.imatrix_sha256 = member_or<std::string>(json, "imatrix_sha256", "");
  return identity;
}

LinearRow::Target target_of(const Json& json) {
  LinearRow::Target target{.chosen = member<std::string>(json, "chosen"), .held_out_error = {}};
  for (const auto& [name, error] : json.at("held_out_error").items())
    target.held_out_error[name] = number(error);
  return target;
}

LinearRow row_of(const Json& json) {
  LinearRow row{.name = member<std::string>(json, "name"),
                .objective = member<std::string>(json, "objective"),
                .loss = number(json.at("loss")),
                .relative_error = number(json.at("relative_error")),
                .weight_divergence = number(json.at("weight_divergence")),
                .outliers = number(json.at("outliers")),
                .bits_per_weight = number(json.at("bits_per_weight")),
                .damping = number(json.at("damping")),
                .fallback = member<std::string>(json, "fallback"),
                .seconds = number_if(json, "seconds"),
                .skipped_sequences = std::nullopt,
                .tokens = std::nullopt,
                .loss_ratio_to_rtn = number_if(json, "loss_ratio_to_rtn"),
                .labels = member_or<std::string>(json, "labels", ""),
                .gate = std::nullopt,
                .target = std::nullopt};
  if (json.contains("skipped_sequences"))
    row.skipped_sequences = member<int64_t>(json, "skipped_sequences");
  if (json.contains("tokens")) row.tokens = member<int64_t>(json, "tokens");
  if (json.contains("gate"))
    row.gate = {.score = number(json.at("gate_score")),
                .closed = member<std::string>(json, "gate") == "closed"};
  if (json.contains("target")) row.target = target_of(json.at("target"));
  return row;
}

RunReport report_of(const Json& json) {
  RunReport report;
  report.identity = identity_of(json);
  report.format = member<std::string>(json, "format");
  for (const Json& row : json.at("linears")) report.linears.push_back(row_of(row));
  if (json.contains("head")) report.head = row_of(json.at("head"));
  report.notes = member_or<std::vector<std::string>>(json, "notes", {});
  if (report.identity.calibration)
    report.dropped_sequences = member<int64_t>(json.at("calibration"), "dropped_sequences");
  return report;
}

template <class Parse>
auto parsed(const std::string& place, Parse&& parse) {
  try {
    return parse();
  } catch (const Json::exception& error) {
    fail("{}: expected what this program writes, found something else: {}", place,
         printable(error.what()));
  }
}

}  // namespace

void to_json(Json& json, const CalibrationText& text) {
  json = {{"text", text.text},
          {"ids_sha256", text.ids_sha256},
          {"tokenizer", text.tokenizer},
          {"round_trip", text.round_trip},
          {"bos", text.bos}};
}

void to_json(Json& json, const CalibrationIdentity& calibration) {
  const std::vector<CalibrationText>& texts = calibration.texts;
  json = texts.size() == 1 ? Json(texts.front()) : Json::object();
  for (size_t i = 0; texts.size() > 1 && i < texts.size(); ++i) {
    json["texts"][i] = texts[i];
    json["texts"][i].update({{"weight", texts[i].weight}, {"sequences", texts[i].sequences}});
  }
  json.update({{"sequences", calibration.sequences},
               {"length", calibration.length},
               {"seed", calibration.seed},
               {"windows_sha256", calibration.windows_sha256}});
  if (calibration.held_out_sequences > 0)
    json["held_out_sequences"] = calibration.held_out_sequences;
}

void to_json(Json& json, const RunIdentity& identity) {
  json = {{"halftone_version", identity.halftone_version},
          {"model", {{"fingerprint", identity.model_fingerprint}}},
          {"recipe",
           {{"name", identity.recipe_name},
            {"toml", identity.recipe_toml},
            {"sha256", identity.recipe_sha256}}},
          {"calibration", or_null(identity.calibration)},
          {"least_scale", identity.least_scale},
          {"compute", or_null(identity.compute)},
          {"products", or_null(identity.products)},
          {"device", identity.device},
          {"threads", identity.threads},
          {"seed", identity.seed}};
  if (!identity.matrix_types.empty()) json["matrix_types"] = identity.matrix_types;
  if (!identity.imatrix_sha256.empty()) json["imatrix_sha256"] = identity.imatrix_sha256;
}

void to_json(Json& json, const LinearRow& row) {
  json = {{"name", row.name},
          {"objective", row.objective},
          {"loss", row.loss},
          {"relative_error", row.relative_error},
          {"weight_divergence", row.weight_divergence},
          {"outliers", row.outliers},
          {"bits_per_weight", row.bits_per_weight},
          {"damping", row.damping},
          {"fallback", row.fallback}};
  if (row.seconds) json["seconds"] = *row.seconds;
  if (row.skipped_sequences) json["skipped_sequences"] = *row.skipped_sequences;
  if (row.tokens) json["tokens"] = *row.tokens;
  if (row.loss_ratio_to_rtn) json["loss_ratio_to_rtn"] = *row.loss_ratio_to_rtn;
  if (!row.labels.empty()) json["labels"] = row.labels;
  if (row.gate) {
    json["gate_score"] = row.gate->score;
    json["gate"] = row.gate->closed ? "closed" : "open";
  }
  if (row.target)
    json["target"] = {{"chosen", row.target->chosen},
                      {"held_out_error", row.target->held_out_error}};
}

void to_json(Json& json, const RunReport& report) {
  json = report.identity;
  json["format"] = report.format;
  json["linears"] = report.linears;
  if (report.head) json["head"] = *report.head;
  if (!report.notes.empty()) json["notes"] = report.notes;
  if (report.dropped_sequences)
    json["calibration"]["dropped_sequences"] = *report.dropped_sequences;
  if (report.written) {
    json["verified"] = true;
    json.update(Json(*report.written));
  }
  if (report.check) json["check"] = *report.check;
  if (report.resumed_linears > 0) json["resumed_linears"] = report.resumed_linears;
  if (!report.seconds) return;
  json["seconds"] = *report.seconds;
  json["peak_rss_bytes"] = report.peak_rss_bytes;
  json["planned_peak_bytes"] = report.planned_peak_bytes;
}

LinearRow parse_linear_row(const Json& json, const std::string& place) {
  return parsed(place, [&] { return row_of(json); });
}

RunReport parse_run_report(const Json& json, const std::string& place) {
  return parsed(place, [&] { return report_of(json); });
}

}  // namespace halftone
