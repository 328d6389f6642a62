// What interrupted runs leave, on the demo model.
#include "pipeline/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "pipeline/demo_request.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::entries;
using ::halftone::testing::interrupt;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::resume_run;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

TEST(Journal, ARunStoppedInItsFirstBlockLeavesNothing) {
  const TemporaryFolder folder;
  interrupt(request_for(folder / "out", "gptq", 4), 6);
  EXPECT_EQ(entries(folder.path()), 0u);
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.resume = true;  // nothing to go on from is no error
  interrupt(request, 6);
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(Journal, ARunWithoutCalibrationKeepsNone) {
  const TemporaryFolder folder;
  interrupt(request_for(folder / "out", "rtn", 4), 17);
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(Journal, OfACalibratedRunStandsInTheWayOfAnyOther) {
  const TemporaryFolder folder;
  interrupt(request_for(folder / "out", "gptq", 3), 17);
  QuantizeRequest rtn = request_for(folder / "out", "rtn", 3);
  EXPECT_NE(message_of([&] { run(rtn); }).find("an interrupted run is kept here"),
            std::string::npos);
  rtn.resume = true;
  EXPECT_NE(message_of([&] { run(rtn); }).find("belongs to another run"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  rtn.resume = false;
  rtn.overwrite = true;
  run(rtn);
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Journal, IsThereStillWhenARunThatWouldReplaceItIsRefusedOrStopsEarly) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  interrupt(request, 17);
  request.overwrite = true;
  request.format = "compressed-tensors";  // cannot hold this
  message_of([&] { run(request); });
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  QuantizeRequest rtn = request_for(folder / "out", "rtn", 3);
  rtn.overwrite = true;
  interrupt(rtn, 17);
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  resume_run(request_for(folder / "out", "gptq", 3), 21);
}

TEST(Journal, ThatIsEmptyIsNone) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out.journal");
  run(request_for(folder / "out", "gptq", 3));
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Journal, IsNeitherUsedNorReplacedUnasked) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  interrupt(request, 17);
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("--resume goes on with it, --overwrite starts again"), std::string::npos)
      << message;
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  request.overwrite = true;
  const json report = run(request);
  EXPECT_FALSE(report.contains("resumed_linears"));
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Journal, DamagedBlocksAreRefusedByName) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  interrupt(request, 17);
  request.resume = true;
  const fs::path block = folder / "out.journal" / "block-00001";
  const std::string file = read_file(block / "model.safetensors");
  std::string damaged = file;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_file_atomically(block / "model.safetensors", damaged);
  std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("block-00001: model.layers.1."), std::string::npos) << message;
  EXPECT_NE(message.find("not the weights that were written"), std::string::npos) << message;
  write_file_atomically(block / "model.safetensors", file);
  const std::string report = read_file(block / "halftone.json");
  write_file_atomically(block / "halftone.json", "{\"linears\": [], \"fingerprints\": {}}");
  message = message_of([&] { run(request); });
  EXPECT_NE(message.find("halftone.json: expected 7 linears"), std::string::npos) << message;
  json kept = json::parse(report);
  kept["linears"][0].erase("loss");
  write_file_atomically(block / "halftone.json", kept.dump());
  message = message_of([&] { run(request); });
  EXPECT_NE(message.find("halftone.json: model.layers.1.self_attn.q_proj: expected"),
            std::string::npos)
      << message;
  fs::remove(block / "halftone.json");
  EXPECT_NE(message_of([&] { run(request); }).find("halftone.json"), std::string::npos);
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(Journal, BelongsToOneProcessAtATime) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  interrupt(request, 17);
  const FileLock other(folder / "out.journal" / "run.json");
  for (bool& choice : {std::ref(request.resume), std::ref(request.overwrite)}) {
    choice = true;
    const std::string message = message_of([&] { run(request); });
    EXPECT_NE(message.find("another process is at work here"), std::string::npos) << message;
    choice = false;
  }
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
}

TEST(Journal, AFolderOfThatNameThatIsNoneOfOursIsLeftAlone) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out.journal");
  std::ofstream(folder / "out.journal" / "diary.txt") << "x";
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.overwrite = true;
  EXPECT_NE(message_of([&] { run(request); }).find("run.json"), std::string::npos);
  std::ofstream(folder / "out.journal" / "run.json") << "{\"name\": \"a marathon\"}";
  EXPECT_NE(message_of([&] { run(request); }).find("halftone_version"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "diary.txt"));
}

}  // namespace
}  // namespace halftone
