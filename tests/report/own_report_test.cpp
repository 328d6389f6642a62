#include "report/own_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/quantize_report.h"

namespace halftone {
namespace {

using nlohmann::json;

const json kEvaluation = {
    {"model", "m"}, {"text", "t"}, {"protocol", json::object()}, {"perplexity", {{"value", 5.1}}}};
const json kClasses = {
    {"model", "m"}, {"images", "i"}, {"protocol", json::object()}, {"accuracy", {{"value", 0.5}}}};
const json kTokens = {{"ids", {1, 2}}, {"ids_special", {1, 2}}, {"decoded", "a\nb"}};
const json kReport = {
    {"halftone_version", "0.1.0"}, {"verified", true}, {"linears", json::array()}};
const json kVerification = {
    {"model", "m"}, {"files", json::array()}, {"checks", json::array()}, {"holds", true}};

TEST(OwnReport, IsWhatJsonAndReportWrite) {
  for (const json& own : {kEvaluation, kClasses, kTokens, kReport, kVerification}) {
    EXPECT_TRUE(is_own_report(own.dump(2) + "\n")) << own;
    EXPECT_TRUE(is_own_report(own.dump() + "\n")) << own;
  }
  EXPECT_TRUE(is_own_report(json::array({kEvaluation, kEvaluation}).dump(2)));
  EXPECT_TRUE(is_own_report(kTokens.dump() + "\n" + kTokens.dump() + "\n"));
  EXPECT_TRUE(is_own_report(quantize_html(RunReport{})));
  EXPECT_TRUE(is_own_report(""));  // of mktemp
}

TEST(OwnReport, IsNothingElse) {
  json of_an_output = kReport;
  of_an_output.erase("verified");
  const std::vector<std::string> others = {
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})",
      R"({"metadata": {"total_size": 1}, "weight_map": {}})",
      R"({"text": "a row of calibration"})",
      "<!doctype html>\n<html><head><title>Accounts</title>",
      "Once upon a time",
      "{}",
      "[]",
      "{",
      "[1, 2]",
      " ",
      std::string("\0\1", 2),
      kReport.dump().substr(1),
      json::array({kEvaluation, json::object()}).dump(),
      of_an_output.dump(),
  };
  for (const std::string& other : others) EXPECT_FALSE(is_own_report(other)) << other;
}

}  // namespace
}  // namespace halftone
