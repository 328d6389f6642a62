// Outputs of the demo model, sound and damaged.
#include "pipeline/verify_output.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <span>
#include <string>

#include "base/sha256.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/filled_model.h"
#include "report/verify_report.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::example;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

json verified(const fs::path& path, const std::optional<fs::path>& source = std::nullopt) {
  SilentProgress progress;
  return verify_output(path, source, progress);
}

json verified_against_demo(const fs::path& path) {
  return verified(path, example("stories260K"));
}

// What the check of that name found; behind "FAILED: " where it does not hold.
std::string found_by(const json& verification, const std::string& name) {
  for (const json& check : verification.at("checks"))
    if (check.at("name") == name)
      return (check.at("holds").get<bool>() ? "" : "FAILED: ") +
             check.at("found").get<std::string>();
  return "no such check";
}

// Changes a byte of a file in place.
void damage(const fs::path& file, size_t from_end) {
  std::string bytes = read_file(file);
  bytes[bytes.size() - from_end] = static_cast<char>(bytes[bytes.size() - from_end] ^ 0x40);
  fs::remove(file);
  write_file_atomically(file, bytes);
}

TEST(VerifyOutput, HoldsForWhatARunHasWritten) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "gptq", 3));
  const json found = verified_against_demo(folder / "out");
  EXPECT_EQ(first_failure(found), "");
  EXPECT_TRUE(found.at("holds").get<bool>());
  EXPECT_EQ(found.at("linears").size(), 35u);
  EXPECT_TRUE(found_by(found, "every tensor accounted for").starts_with("35 linears, 12 other "))
      << found_by(found, "every tensor accounted for");
  EXPECT_EQ(found_by(found, "made from the source"), "its fingerprint is the one in the report");
}

TEST(VerifyOutput, ListsTheHashOfEveryFile) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 3));
  const json found = verified(folder / "out");
  size_t files = 0;
  for (const json& file : found.at("files")) {
    const std::string bytes = read_file(folder / "out" / file.at("name").get<std::string>());
    EXPECT_EQ(file.at("sha256"), sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size()))));
    EXPECT_EQ(file.at("bytes"), bytes.size());
    ++files;
  }
  EXPECT_EQ(files, testing::entries(folder / "out"));
}

TEST(VerifyOutput, WeightsHaveTheSameHashesInAnotherFormat) {
  const TemporaryFolder folder;
  run(request_for(folder / "native", "gptq", 4));
  ConvertRequest request;
  request.model = folder / "native";
  request.out = folder / "dense";
  request.format = "dense";  // float32, as the demo model is
  SilentProgress progress;
  convert_model(request, progress);
  const json native = verified(folder / "native"), dense = verified(folder / "dense");
  EXPECT_EQ(native.at("weights_sha256").size(), 35u);
  EXPECT_EQ(native.at("weights_sha256"), dense.at("weights_sha256"));
  EXPECT_EQ(first_failure(dense), "");
  EXPECT_EQ(found_by(dense, "its weights"), "35 matrices as the run has written them");
}

TEST(VerifyOutput, HoldsForRotatedOutputsAndGgufFiles) {
  const TemporaryFolder folder;
  run(request_for(folder / "turned", "quarot-gptq", 4));
  const json turned = verified_against_demo(folder / "turned");
  EXPECT_EQ(first_failure(turned), "");
  EXPECT_TRUE(found_by(turned, "every tensor accounted for").ends_with(" rotated"));
  ConvertRequest request;
  request.model = example("stories260K");
  request.out = folder / "out.gguf";
  request.format = "gguf";
  SilentProgress progress;
  convert_model(request, progress);
  const json file = verified_against_demo(folder / "out.gguf");
  EXPECT_EQ(first_failure(file), "");
  EXPECT_EQ(found_by(file, "its report"), "of a conversion");
}

TEST(VerifyOutput, KnowsTheRunBehindAConversion) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "halftone", 4));
  SilentProgress progress;
  const auto convert = [&](const char* from, const char* to, const char* format) {
    convert_model({.model = folder / from, .out = folder / to, .format = format, .type = {}},
                  progress);
  };
  convert("out", "once", "native");
  convert("once", "twice", "dense");
  for (const char* output : {"once", "twice"}) {
    const json found = verified_against_demo(folder / output);
    EXPECT_EQ(first_failure(found), "") << output;
    EXPECT_EQ(found_by(found, "made from the source"), "its fingerprint is the one in the report");
    EXPECT_NE(found_by(found, "every tensor accounted for").find("rotated"), std::string::npos);
  }
}

TEST(VerifyOutput, AReportThatLiesOfTheRunIsACheckThatFails) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 4));
  const fs::path file = folder / "out" / "halftone.json";
  const json good = json::parse(read_file(file));
  for (const json& lie : {json(3), json{{"recipe", 3}, {"model", 4}},
                          json{{"recipe", {{"toml", "x = "}}}, {"model", json::object()}},
                          json{{"recipe", {{"toml", 7}}}, {"model", json::object()}}}) {
    json bad = good;
    bad.erase("recipe");
    bad["run"] = lie;
    fs::remove(file);
    write_file_atomically(file, bad.dump());
    EXPECT_NE(first_failure(verified_against_demo(folder / "out")), "") << lie;
  }
}

TEST(VerifyOutput, TakesAnEmbeddingOfAnyGridForACoarserOne) {
  const TemporaryFolder folder;
  const fs::path model = testing::filled_up(folder / "model");
  for (const char* format : {"native", "mlx"}) {
    QuantizeRequest request = request_for(folder / format, "rtn", 4);
    request.model = model;
    request.recipe.common.grid.group_size = 32;
    request.format = format;
    request.embedding_type = "2";
    run(request);
    EXPECT_EQ(first_failure(verified(folder / format, model)), "") << format;
  }
}

TEST(VerifyOutput, TakesAnEmbeddingInFewBitsForACoarserOne) {
  const TemporaryFolder folder;
  QuantizeRequest asked = request_for(folder / "out", "rtn", 4);
  asked.embedding_type = "2";
  run(asked);
  const json found = verified_against_demo(folder / "out");
  EXPECT_EQ(first_failure(found), "");
  EXPECT_EQ(found_by(found, "every tensor accounted for"),
            "35 linears, 11 other tensors as they were, 1 in a coarser type");
  EXPECT_TRUE(found_by(found, "reads back").starts_with("35 linears (35 quantized) and 12 other"))
      << found_by(found, "reads back");
}

TEST(VerifyOutput, FindsATensorThatChanged) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 3));
  damage(folder / "out" / "model.safetensors", 2);  // of the last tensor
  const json found = verified(folder / "out");
  EXPECT_TRUE(found_by(found, "its weights").starts_with("FAILED: model.layers.")) << found.dump(1);
}

TEST(VerifyOutput, FindsALinearThatIsFurtherOffThanZeros) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 4));
  // the source is one whose weights are all an eighth
  const fs::path source = folder / "source";
  fs::copy(example("stories260K"), source, fs::copy_options::recursive);
  const fs::path weights = source / "model.safetensors";
  std::string bytes = read_file(weights);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const json tensors = json::parse(bytes.substr(8, header));
  const auto at = tensors.at("model.layers.1.mlp.up_proj.weight").at("data_offsets");
  ASSERT_EQ(tensors.at("model.layers.1.mlp.up_proj.weight").at("dtype"), "F32");
  for (size_t i = at[0]; i < at[1].get<size_t>(); i += 4) {
    float number = 0;
    std::memcpy(&number, &bytes[8 + header + i], 4);
    number /= 8;
    std::memcpy(&bytes[8 + header + i], &number, 4);
  }
  fs::remove(weights);
  write_file_atomically(weights, bytes);
  const json found = verified(folder / "out", source);
  EXPECT_TRUE(found_by(found, "weights near the source's")
                  .starts_with("FAILED: model.layers.1.mlp.up_proj: further from "))
      << found.dump(1);
  EXPECT_TRUE(found_by(found, "made from the source").starts_with("FAILED: "));
}

TEST(VerifyOutput, FindsAChangedTokenizerAndAChangedReport) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 4));
  std::ofstream(folder / "out" / "tokenizer_config.json", std::ios::app) << " ";
  std::string report = read_file(folder / "out" / "halftone.json");
  report.replace(report.find("bits = 4"), 8, "bits = 5");
  fs::remove(folder / "out" / "halftone.json");
  write_file_atomically(folder / "out" / "halftone.json", report);
  const json found = verified_against_demo(folder / "out");
  EXPECT_EQ(found_by(found, "its report"),
            "FAILED: the recipe's text is not that of its hash: the report was changed");
}

TEST(VerifyOutput, WhatDoesNotOpenIsACheckThatFails) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 4));
  fs::resize_file(folder / "out" / "model.safetensors", 1000);
  const json found = verified(folder / "out");
  EXPECT_FALSE(found.at("holds").get<bool>());
  EXPECT_TRUE(first_failure(found).starts_with("opens: ")) << first_failure(found);
  EXPECT_TRUE(message_of([&] { verified(folder / "nothing"); }).ends_with("does not exist"));
}

}  // namespace
}  // namespace halftone
