// The report as JSON and back.
#include "report/run_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace halftone {
namespace {

using nlohmann::json;

// Every field that a report can have.
RunReport full_report() {
  RunReport report;
  report.identity = {.halftone_version = "0.1.0",
                     .model_fingerprint = "aa",
                     .recipe_name = "gptq",
                     .recipe_toml = "bits = 3\n",
                     .recipe_sha256 = "bb",
                     .calibration = CalibrationIdentity{.texts = {{.text = "c4.txt",
                                                                   .ids_sha256 = "cc",
                                                                   .tokenizer = "bpe",
                                                                   .round_trip = true,
                                                                   .bos = true,
                                                                   .sequences = 8}},
                                                        .sequences = 8,
                                                        .length = 256,
                                                        .seed = 7,
                                                        .windows_sha256 = "dd",
                                                        .held_out_sequences = 1},
                     .least_scale = 0.5,
                     .matrix_types = {{"lm_head.weight", "Q6_K"}},
                     .imatrix_sha256 = "ee",
                     .compute = "float32",
                     .products = "two-part",
                     .device = "cpu",
                     .threads = 2,
                     .seed = 7};
  report.format = "native";
  report.dropped_sequences = 0;
  report.linears = {{.name = "q",
                     .objective = "oac",
                     .loss = 1e-05,
                     .relative_error = 0.25,
                     .weight_divergence = 0.125,
                     .outliers = 0,
                     .bits_per_weight = 3.25,
                     .damping = 0.01,
                     .fallback = "damping 0.1",
                     .seconds = 0.5,
                     .skipped_sequences = 1,
                     .tokens = 12,
                     .loss_ratio_to_rtn = 0.75,
                     .labels = "truth",
                     .gate = LinearRow::Gate{.score = 0.5, .closed = true},
                     .target = LinearRow::Target{
                         .chosen = "plain", .held_out_error = {{"plain", 0.5}, {"alpha 1", 1.5}}}}};
  report.notes = {"one"};
  report.written = {.bits_per_weight = {.quantized = 3.5, .quoted = 3.25, .model = 5},
                    .bytes = 100,
                    .caution = "beware"};
  report.resumed_linears = 3;
  report.seconds = 2;
  report.peak_rss_bytes = 4096;
  report.planned_peak_bytes = 8192;
  return report;
}

TEST(RunReport, IsThisJson) {
  EXPECT_EQ(json(full_report()), json::parse(R"({
    "halftone_version": "0.1.0", "model": {"fingerprint": "aa"},
    "recipe": {"name": "gptq", "toml": "bits = 3\n", "sha256": "bb"},
    "calibration": {"text": "c4.txt", "ids_sha256": "cc", "tokenizer": "bpe", "round_trip": true,
                    "bos": true, "sequences": 8, "length": 256, "seed": 7, "windows_sha256": "dd",
                    "held_out_sequences": 1, "dropped_sequences": 0},
    "least_scale": 0.5, "compute": "float32", "products": "two-part", "device": "cpu",
    "threads": 2, "seed": 7, "matrix_types": {"lm_head.weight": "Q6_K"}, "imatrix_sha256": "ee", "format": "native", "notes": ["one"], "verified": true,
    "linears": [{"name": "q", "objective": "oac", "loss": 1e-05, "relative_error": 0.25,
                 "weight_divergence": 0.125, "outliers": 0.0, "bits_per_weight": 3.25,
                 "damping": 0.01, "fallback": "damping 0.1", "seconds": 0.5,
                 "skipped_sequences": 1, "tokens": 12, "loss_ratio_to_rtn": 0.75, "labels": "truth",
                 "gate_score": 0.5, "gate": "closed",
                 "target": {"chosen": "plain",
                            "held_out_error": {"plain": 0.5, "alpha 1": 1.5}}}],
    "bits_per_weight": {"quantized": 3.5, "quoted": 3.25, "model": 5.0}, "bytes": 100,
    "caution": "beware", "resumed_linears": 3, "seconds": 2.0, "peak_rss_bytes": 4096,
    "planned_peak_bytes": 8192})"));
}

TEST(RunReport, LeavesOutWhatThereIsNone) {
  RunReport report;
  report.linears.emplace_back();
  const json plain = report;
  for (const char* key :
       {"notes", "verified", "matrix_types", "imatrix_sha256", "head", "bits_per_weight", "bytes",
        "caution", "resumed_linears", "seconds", "peak_rss_bytes", "planned_peak_bytes"})
    EXPECT_FALSE(plain.contains(key)) << key;
  for (const char* key : {"calibration", "compute", "products"})
    EXPECT_TRUE(plain.at(key).is_null()) << key;
  EXPECT_EQ(plain["linears"][0].size(), 9u);
}

TEST(RunReport, ComesBackFromTextToTheSameText) {
  RunReport report = full_report();
  report.linears[0].loss = 1.0 / 3;
  report.linears[0].relative_error = std::numeric_limits<double>::quiet_NaN();
  report.identity.least_scale = 5.877471754111438e-39;
  report.head = report.linears[0];
  report.written.reset();  // of the files, not of the report
  report.resumed_linears = 0;
  report.seconds.reset();
  for (const bool calibrated : {true, false}) {
    if (!calibrated) {
      report.identity.calibration.reset();
      report.identity.compute.reset();
      report.identity.products.reset();
      report.dropped_sequences.reset();
    }
    const std::string text = json(report).dump(2);
    const RunReport back = parse_run_report(json::parse(text), "halftone.json");
    EXPECT_EQ(json(back).dump(2), text);
    EXPECT_TRUE(std::isnan(back.linears[0].relative_error));
  }
}

TEST(RunReport, OfSeveralTextsListsThemInThePlaceOfTheOne) {
  RunReport report = full_report();
  report.linears.clear();
  report.written.reset();
  report.resumed_linears = 0;
  report.seconds.reset();
  EXPECT_EQ(json(report)["calibration"].dump(),
            R"({"bos":true,"dropped_sequences":0,"held_out_sequences":1,"ids_sha256":"cc",)"
            R"("length":256,"round_trip":true,"seed":7,"sequences":8,"text":"c4.txt",)"
            R"("tokenizer":"bpe","windows_sha256":"dd"})");
  std::vector<CalibrationText>& texts = report.identity.calibration->texts;
  texts.push_back({.text = "chat.jsonl", .ids_sha256 = "ff", .weight = 0.5, .sequences = 3});
  texts.front().sequences = 5;
  const json calibration = json(report)["calibration"];
  EXPECT_FALSE(calibration.contains("text"));
  EXPECT_FALSE(calibration.contains("ids_sha256"));
  EXPECT_EQ(calibration["sequences"], 8);
  EXPECT_EQ(calibration["texts"][1].dump(),
            R"({"bos":false,"ids_sha256":"ff","round_trip":false,"sequences":3,)"
            R"("text":"chat.jsonl","tokenizer":"","weight":0.5})");
  const RunReport back = parse_run_report(json(report), "halftone.json");
  EXPECT_EQ(json(back).dump(), json(report).dump());
  EXPECT_EQ(back.identity.calibration->texts[0].sequences, 5);
}

TEST(RunReport, ThatIsNoneIsRefusedWithItsPlace) {
  const json good = full_report();
  const auto refusal = [](const json& value, bool row) -> std::string {
    try {
      static_cast<void>(row ? json(parse_linear_row(value, "here"))
                            : json(parse_run_report(value, "here")));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(good, false), "");
  EXPECT_EQ(refusal(good["linears"][0], true), "");
  for (const char* key : {"recipe", "model", "calibration", "compute", "linears", "threads"}) {
    json bad = good;
    bad.erase(key);
    EXPECT_TRUE(refusal(bad, false).starts_with("here: expected ")) << key;
    bad[key] = json::array({1});
    EXPECT_TRUE(refusal(bad, false).starts_with("here: expected ")) << key;
  }
  for (const char* key : {"name", "loss", "fallback", "bits_per_weight"}) {
    json bad = good["linears"][0];
    bad.erase(key);
    EXPECT_TRUE(refusal(bad, true).starts_with("here: expected ")) << key;
    bad[key] = json::object();
    EXPECT_TRUE(refusal(bad, true).starts_with("here: expected ")) << key;
  }
  for (const json& value : {json(3), json(), json::array(), json("x")})
    EXPECT_TRUE(refusal(value, true).starts_with("here: expected "));
}

}  // namespace
}  // namespace halftone
