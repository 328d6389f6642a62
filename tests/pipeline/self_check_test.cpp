// What a run finds out about its own output, on the demo model.
#include "pipeline/self_check.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::example;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

QuantizeRequest checked_request(const fs::path& out, const std::string& recipe, int bits) {
  QuantizeRequest request = request_for(out, recipe, bits);
  request.check = true;
  return request;
}

SelfCheck check(QuantizeRequest request, const fs::path& written) {
  request.out += "-elsewhere";  // what is checked is there already
  SilentProgress progress;
  return check_written(QuantizeJob(request), written, progress);
}

// Writes the model at `good` once more to request.out, the scales of some linears times 8.
void write_broken(const QuantizeRequest& request, const fs::path& good, const std::string& prefix) {
  const QuantizeJob job(request);
  const auto model = open_model(good);
  Output output(request.out, Existing::kRefuse, request.format, job.output_plan());
  for (const std::string& name : job.model().other_tensors())
    output.add_tensor(name, job.other_tensor(name));
  for (const LinearSlot& slot : job.model().linears()) {
    QuantizedLinear linear = model->read_linear(slot.name);
    if (slot.name.starts_with(prefix)) linear.scales = linear.scales * 8;
    output.add_linear(finish_linear(slot.name, std::move(linear)));
  }
  output.verify_and_commit(json::object());
}

TEST(SelfCheck, AGoodOutputStaysFarBelowWhatItsContextIsWorth) {
  const TemporaryFolder folder;
  const json found = run(checked_request(folder / "out", "gptq", 4)).at("check");
  EXPECT_EQ(found.at("windows"), 4);
  EXPECT_EQ(found.at("length"), 512);
  EXPECT_LT(found.at("kl").at("value").get<double>(), 0.5);
  EXPECT_GT(found.at("limit").get<double>(), 2);
  EXPECT_EQ(found.at("collapsed"), false);
  EXPECT_FALSE(found.contains("blame"));
  EXPECT_FALSE(found.at("sample").at("text").get<std::string>().empty());
}

TEST(SelfCheck, HonestTwoBitsHoldAndRoundingToThemDoesNot) {
  const TemporaryFolder folder;
  EXPECT_EQ(run(checked_request(folder / "gptq", "gptq", 2)).at("check").at("collapsed"), false);
  const json rtn = run(checked_request(folder / "rtn", "rtn", 2)).at("check");
  EXPECT_EQ(rtn.at("collapsed"), true);
  EXPECT_EQ(rtn.at("blame").at("stands_out"), false);  // every block is as bad
}

TEST(SelfCheck, ABrokenBlockIsCaughtAndNamed) {
  const TemporaryFolder folder;
  run(request_for(folder / "good", "gptq", 4));
  const QuantizeRequest request = checked_request(folder / "bad", "gptq", 4);
  write_broken(request, folder / "good", "model.layers.2.");
  const SelfCheck found = check(request, folder / "bad");
  EXPECT_TRUE(found.collapsed()) << found.kl.value << " of " << found.limit;
  ASSERT_TRUE(found.blame);
  EXPECT_TRUE(found.blame->stands_out);
  EXPECT_EQ(found.blame->part, "model.layers.2");
  EXPECT_NEAR(found.blame->linear_error, 49, 5);  // (8 - 1)^2
}

TEST(SelfCheck, ABrokenLinearIsNamed) {
  const TemporaryFolder folder;
  run(request_for(folder / "good", "gptq", 4));
  QuantizeRequest request = checked_request(folder / "bad", "gptq", 4);
  request.check_kl = 0.01;
  write_broken(request, folder / "good", "model.layers.3.mlp.down_proj");
  const SelfCheck found = check(request, folder / "bad");
  ASSERT_TRUE(found.blame);
  EXPECT_EQ(found.blame->part, "model.layers.3");
  EXPECT_EQ(found.blame->linear, "model.layers.3.mlp.down_proj");
}

TEST(SelfCheck, ARotatedOutputIsBlamedInItsOwnBasis) {
  const TemporaryFolder folder;
  run(request_for(folder / "good", "quarot-gptq", 4));
  const QuantizeRequest request = checked_request(folder / "bad", "quarot-gptq", 4);
  const SelfCheck good = check(request, folder / "good");
  EXPECT_FALSE(good.collapsed());
  write_broken(request, folder / "good", "model.layers.1.");
  const SelfCheck found = check(request, folder / "bad");
  ASSERT_TRUE(found.blame) << found.kl.value << " of " << found.limit;
  EXPECT_EQ(found.blame->part, "model.layers.1");
  EXPECT_LT(found.blame->others, 0.5);
}

TEST(SelfCheck, ARunThatNeedsNoTextIsScoredOnTheOneThatIsGiven) {
  const TemporaryFolder folder;
  const json found = run(checked_request(folder / "out", "rtn", 3)).at("check");
  EXPECT_EQ(found.at("windows"), 4);
  EXPECT_GT(found.at("perplexity").at("value"), found.at("reference_perplexity").at("value"));
}

TEST(SelfCheck, ChangesNoByteOfTheOutput) {
  const TemporaryFolder folder;
  run(request_for(folder / "plain", "gptq", 3));
  run(checked_request(folder / "checked", "gptq", 3));
  EXPECT_EQ(contents(folder / "plain"), contents(folder / "checked"));
}

TEST(SelfCheck, IsRepeatedWhereResumeFindsAFinishedOutput) {
  const TemporaryFolder folder;
  QuantizeRequest request = checked_request(folder / "out", "gptq", 3);
  const json first = run(request);
  request.resume = true;
  const json again = run(request);
  EXPECT_FALSE(again.contains("seconds"));
  EXPECT_EQ(again.at("check").at("kl"), first.at("check").at("kl"));
}

TEST(SelfCheck, NamesATextThatTheModelDoesNotKnow) {
  const TemporaryFolder folder;
  QuantizeRequest request = checked_request(folder / "known", "gptq", 4);
  EXPECT_FALSE(run(request).contains("notes"));
  std::vector<TokenId> noise;
  Random random(1);
  for (int i = 0; i < 8000; ++i) noise.push_back(static_cast<TokenId>(random.below(512)));
  write_file_atomically(folder / "noise.tokens",
                        std::string_view(reinterpret_cast<const char*>(noise.data()),
                                         noise.size() * sizeof(TokenId)));
  request.calibration.push_back({.file = folder / "noise.tokens"});
  request.out = folder / "mixed";
  const json report = run(request);
  ASSERT_TRUE(report.contains("notes"));
  ASSERT_EQ(report.at("notes").size(), 1U);
  EXPECT_EQ(report.at("notes")[0].get<std::string>().rfind(
                "noise.tokens is far from what the model was trained on: ", 0),
            0U)
      << report.at("notes");
  const json kept = json::parse(contents(folder / "mixed").at("halftone.json"));
  EXPECT_FALSE(kept.contains("notes"));  // the same work, the same bytes
}

TEST(SelfCheck, IsSkippedWithItsReason) {
  const TemporaryFolder folder;
  QuantizeRequest request = checked_request(folder / "a", "rtn", 4);
  request.calibration.clear();
  EXPECT_EQ(run(request).at("check"),
            json({{"skipped", "no --calibration text to score the output on"}}));
  request = checked_request(folder / "b", "gptq", 4);
  request.calibration = {{.file = folder / "short.txt"}};
  write_file_atomically(request.calibration.front().file,
                        read_file(example("tinystories-calibration.txt")).substr(0, 2000));
  request.sequences = 2;  // of 512 of its tokens, which are fewer than twice as many
  request.length = 512;
  EXPECT_EQ(run(request).at("check"),
            json({{"skipped", "the calibration's windows leave no 512 tokens of the text"}}));
}

TEST(SelfCheck, WritesNoLineWhereTheWeightsDoNotFit) {
  const TemporaryFolder folder;
  QuantizeRequest request = checked_request(folder / "out", "gptq", 4);
  request.memory_limit = 1 << 16;
  const json found = run(request).at("check");
  EXPECT_EQ(found.at("no_sample"), "all weights at once do not fit into --memory-limit");
  EXPECT_EQ(found.at("collapsed"), false);
}

}  // namespace
}  // namespace halftone
