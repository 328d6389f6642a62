// Outputs in several files.
#include "pipeline/output_parts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf_file.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/filled_model.h"
#include "pipeline/interrupted_run.h"
#include "pipeline/output_place.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::message_of;
using testing::TemporaryFolder;

constexpr int64_t kShard = 100'000;

class OutputParts : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& content = "x") const {
    write_file_atomically(folder_ / name, content);
  }
  QuantizeRequest request(const std::string& recipe = "rtn") const {
    QuantizeRequest request = testing::request_for(folder_ / "m.gguf", recipe, 4);
    request.format.clear();
    request.model = model_;
    request.type = "Q4_0";
    request.shard_bytes = kShard;
    return request;
  }
  size_t files() const { return testing::entries(folder_ / "."); }

  const TemporaryFolder folder_;
  const fs::path model_ = testing::filled_up(folder_ / "model");
};

TEST_F(OutputParts, AreToldByTheirNames) {
  for (const char* other : {"m-00001-of-00002.ggu", "m-0001-of-0002.gguf", "n-00001-of-00002.gguf",
                            "m-00001-of-0000x.gguf", "mm-00001-of-00002.gguf", "m-00001.gguf"})
    put(other);
  EXPECT_TRUE(parts_beside(folder_ / "m.gguf").empty());
  EXPECT_EQ(file_to_open(folder_ / "m.gguf"), folder_ / "m.gguf");
  put("m-00002-of-00002.gguf");
  EXPECT_EQ(file_to_open(folder_ / "m.gguf"),
            folder_ / "m.gguf");  // without the first they are none
  put("m-00001-of-00002.gguf");
  EXPECT_EQ(parts_beside(folder_ / "m.gguf").size(), 2U);
  EXPECT_EQ(file_to_open(folder_ / "m.gguf").filename(), "m-00001-of-00002.gguf");
  put("m.gguf");
  EXPECT_EQ(file_to_open(folder_ / "m.gguf"), folder_ / "m.gguf");
}

TEST_F(OutputParts, HoldWhatOneFileHolds) {
  const json report = testing::run(request());
  EXPECT_EQ(report["verified"], true);
  const std::vector<fs::path> parts = parts_beside(folder_ / "m.gguf");
  ASSERT_GE(parts.size(), 2U);
  EXPECT_FALSE(fs::exists(folder_ / "m.gguf"));
  EXPECT_EQ(files(), parts.size() + 1);  // and the model: nothing temporary stays
  for (size_t i = 0; i < parts.size(); ++i) {
    const GgufFile part(parts[i]);
    EXPECT_EQ(part.metadata().whole("split.no"), static_cast<int64_t>(i));
    EXPECT_EQ(part.metadata().whole("split.count"), static_cast<int64_t>(parts.size()));
    EXPECT_EQ(part.metadata().contains("general.architecture"), i == 0);
    EXPECT_LE(static_cast<int64_t>(fs::file_size(parts[i])),
              kShard + (i == 0 ? 200'000 : 10'000));  // what is beside the tensors
  }
  QuantizeRequest one = request();
  one.out = folder_ / "one.gguf";
  one.shard_bytes.reset();
  testing::run(one);
  const auto split = open_model(parts.front()), whole = open_model(one.out);
  EXPECT_EQ(split->names(), whole->names());
  for (const std::string& name : whole->names())
    EXPECT_TRUE(at::equal(split->load(name), whole->load(name))) << name;
  EXPECT_EQ(report_of_output(folder_ / "m.gguf")["recipe"], report["recipe"]);
}

TEST_F(OutputParts, ThatWouldBeOneAreOneFile) {
  QuantizeRequest large = request();
  large.shard_bytes = int64_t{1} << 30;
  testing::run(large);
  EXPECT_TRUE(fs::exists(folder_ / "m.gguf"));
  EXPECT_TRUE(parts_beside(folder_ / "m.gguf").empty());
}

TEST_F(OutputParts, AreReplacedTogetherAndOnlyWhenAskedFor) {
  testing::run(request());
  EXPECT_NE(message_of([&] { testing::run(request()); }).find("m-00001-of-0000"),
            std::string::npos);
  QuantizeRequest again = request();
  again.overwrite = true;
  again.shard_bytes = kShard * 2;
  testing::run(again);
  const size_t parts = parts_beside(folder_ / "m.gguf").size();
  EXPECT_EQ(files(), parts + 1);
  (void)open_model(file_to_open(folder_ / "m.gguf"));
  put("m.gguf");
  EXPECT_NE(message_of([&] { testing::run(again); }), "");
}

TEST_F(OutputParts, OfOthersAreNotReplaced) {
  put("m-00002-of-00002.gguf");
  QuantizeRequest asked = request();
  EXPECT_NE(message_of([&] { testing::run(asked); }).find("already exists"), std::string::npos);
  asked.overwrite = true;
  EXPECT_NE(message_of([&] { testing::run(asked); }).find("expected the first part"),
            std::string::npos);
  put("m-00001-of-00002.gguf");
  EXPECT_NE(message_of([&] { testing::run(asked); }), "");
  EXPECT_EQ(read_file(folder_ / "m-00001-of-00002.gguf"), "x");
}

// What is left where a process is killed between the moving of two of them.
TEST_F(OutputParts, WithoutTheirFirstAreReplacedWhereTheRunIsResumed) {
  const QuantizeRequest asked = request("gptq");
  testing::interrupt(asked, 17);
  QuantizeRequest whole = asked;
  whole.out = folder_ / "whole.gguf";
  testing::run(whole);
  const auto leave_remains = [&] {
    for (const fs::path& part : parts_beside(folder_ / "m.gguf")) fs::remove(part);
    const fs::path last = parts_beside(whole.out).back();
    fs::copy_file(last, folder_ / ("m" + last.filename().string().substr(5)));  // of "whole"
  };
  leave_remains();
  EXPECT_NE(message_of([&] { testing::run(asked); }), "");
  testing::resume_run(asked, 35 - 2 * testing::kLinearsOfBlock);
  const std::vector<fs::path> parts = parts_beside(folder_ / "m.gguf"),
                              expected = parts_beside(whole.out);
  ASSERT_EQ(parts.size(), expected.size());
  for (size_t i = 0; i < parts.size(); ++i)
    EXPECT_EQ(read_file(parts[i]), read_file(expected[i])) << i;
  leave_remains();
  EXPECT_NE(message_of([&] { testing::run(asked); }).find("already exists"), std::string::npos);
  QuantizeRequest again = asked;
  again.overwrite = true;
  testing::run(again);
  EXPECT_EQ(parts_beside(folder_ / "m.gguf").size(), expected.size());
}

TEST_F(OutputParts, ThatCannotAllBeMovedLeaveWhatWasThere) {
  const fs::path staging = folder_ / "staging";
  fs::create_directory(staging);
  for (const char* name : {"b", "m-00001-of-00003.gguf", "m-00002-of-00003.gguf"})
    write_file_atomically(staging / name, "new");
  put("m-00001-of-00002.gguf", "old");
  fs::create_directories(folder_ / "b" / "full");  // in the way of the one that comes last
  EXPECT_NE(message_of([&] { commit_parts(staging, folder_ / "m.gguf"); }), "");
  EXPECT_EQ(parts_beside(folder_ / "m.gguf"),
            std::vector<fs::path>{folder_ / "m-00001-of-00002.gguf"});
  EXPECT_EQ(read_file(folder_ / "m-00001-of-00002.gguf"), "old");
  fs::remove_all(folder_ / "b");
  commit_parts(staging, folder_ / "m.gguf");
  EXPECT_EQ(parts_beside(folder_ / "m.gguf").size(), 2U);
  EXPECT_EQ(read_file(folder_ / "m-00001-of-00003.gguf"), "new");
}

TEST_F(OutputParts, OfAnInterruptedRunAreResumed) {
  testing::interrupt(request("gptq"), 17);
  EXPECT_TRUE(parts_beside(folder_ / "m.gguf").empty());
  testing::resume_run(request("gptq"), 35 - 2 * testing::kLinearsOfBlock);
  EXPECT_GE(parts_beside(folder_ / "m.gguf").size(), 2U);
  testing::resume_run(request("gptq"), 0);  // they are there already
}

TEST_F(OutputParts, AreScoredWhereTheRunIsChecked) {
  QuantizeRequest checked = request("gptq");
  checked.check = true;
  SilentProgress progress;
  const RunReport report = quantize_model(checked, progress);
  ASSERT_TRUE(report.check.has_value());
  EXPECT_EQ(report.check->skipped, "");
  EXPECT_GT(report.check->windows, 0);
}

TEST_F(OutputParts, AreOfConvertTooAndOfGgufAlone) {
  SilentProgress progress;
  convert_model({.model = model_,
                 .out = folder_ / "c.gguf",
                 .format = "gguf",
                 .type = "F16",
                 .shard_bytes = kShard},
                progress);
  EXPECT_GE(parts_beside(folder_ / "c.gguf").size(), 2U);
  EXPECT_NE(message_of([&] {
              convert_model({.model = model_,
                             .out = folder_ / "c",
                             .format = "native",
                             .type = {},
                             .shard_bytes = kShard},
                            progress);
            }).find("--shard-size"),
            std::string::npos);
  QuantizeRequest folder = request();
  folder.out = folder_ / "folder";
  folder.type.clear();
  EXPECT_NE(message_of([&] { testing::run(folder); }).find("--shard-size"), std::string::npos);
}

}  // namespace
}  // namespace halftone
