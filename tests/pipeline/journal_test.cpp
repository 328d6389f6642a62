// Interrupted runs and what --resume makes of them, on the demo model (5 blocks of 7 linears).
#include "pipeline/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "kernels/mixed_product.h"
#include "pipeline/demo_request.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::entries;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

constexpr int64_t kLinearsOfBlock = 7;

// Stops after so many linears, as Ctrl-C does, and remembers how many this run has quantized.
class StoppingProgress final : public Progress {
 public:
  explicit StoppingProgress(int64_t last = 1000) : last_(last) {}
  void begin(std::string_view step, int64_t) override { quantizes_ = step == "quantize"; }
  void start_at(int64_t done) override { before_ = done; }
  void update(int64_t done, std::string_view detail) override {
    if (!quantizes_ || detail.starts_with("gradients")) return;
    quantized_ = done - before_;
    if (done >= last_) throw Interrupted();
  }
  void end() override {}
  int64_t quantized() const { return quantized_; }

 private:
  int64_t last_, before_ = 0, quantized_ = 0;
  bool quantizes_ = false;
};

void interrupt(const QuantizeRequest& request, int64_t linears) {
  StoppingProgress progress(linears);
  EXPECT_THROW(quantize_model(request, progress), Interrupted);
}

json resume_run(QuantizeRequest request, int64_t expected_linears) {
  request.resume = true;
  StoppingProgress progress;
  json report = quantize_model(request, progress);
  EXPECT_EQ(progress.quantized(), expected_linears);
  return report;
}

struct ResumeCase {
  const char *name, *recipe;
  int bits;
  const char* format;
  std::vector<const char*> settings;
};

class InterruptedRuns : public ::testing::TestWithParam<ResumeCase> {
 protected:
  static QuantizeRequest request(const fs::path& out) {
    const ResumeCase& wanted = GetParam();
    QuantizeRequest request = request_for(out, wanted.recipe, wanted.bits);
    request.format = wanted.format;
    for (const char* setting : wanted.settings) apply_setting(request.recipe, setting);
    return request;
  }
};

TEST_P(InterruptedRuns, ResumeToTheSameBytes) {
  const TemporaryFolder folder;
  run(request(folder / "whole"));
  interrupt(request(folder / "out"), 17);  // in the third block
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_TRUE(fs::exists(folder / "out.journal"));
  const json report = resume_run(request(folder / "out"), 35 - 2 * kLinearsOfBlock);
  EXPECT_TRUE(report["verified"].get<bool>());
  EXPECT_EQ(report["resumed_linears"], 2 * kLinearsOfBlock);
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
  EXPECT_EQ(entries(folder.path()), 2u);  // the journal is gone
}

INSTANTIATE_TEST_SUITE_P(
    Journal, InterruptedRuns,
    ::testing::Values(
        ResumeCase{"gptq", "gptq", 3, "native", {}},
        ResumeCase{"gptq_dense", "gptq", 4, "dense", {}},
        ResumeCase{"gptq_row", "gptq", 4, "compressed-tensors", {"grid.group_size=0"}},
        ResumeCase{"halftone", "halftone", 3, "native", {}},
        ResumeCase{"halftone_online", "halftone", 3, "native", {"transform.online=true"}},
        ResumeCase{"first_token", "qep-spqr", 3, "native", {}},
        ResumeCase{"auto_target", "gptq", 3, "native", {"target.auto=true"}},
        ResumeCase{"spqr", "spqr", 3, "native", {}},
        ResumeCase{"split", "precal-gptq", 3, "native", {"order.static_groups=false"}},
        ResumeCase{"binary", "billm", 1, "native", {}},
        ResumeCase{"one_shot", "oac", 3, "native", {"objective.schedule=oneshot"}},
        ResumeCase{"block_wise", "oac-gptq", 3, "native", {"objective.schedule=blockwise"}},
        ResumeCase{"sampled", "oac-gptq", 3, "native", {"objective.labels=sampled"}},
        ResumeCase{"guided_drift", "guided", 3, "native", {"target.preshift=0.5"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Journal, IsResumedAsOftenAsARunIsInterrupted) {
  const TemporaryFolder folder;
  const QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  run(request_for(folder / "whole", "gptq", 3));
  interrupt(request, 8);
  QuantizeRequest again = request;
  again.resume = true;
  interrupt(again, 10);  // no further block
  interrupt(again, 30);
  EXPECT_EQ(resume_run(request, 7)["resumed_linears"], 28);
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
}

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

TEST(Journal, ThatAKillHasLeftBesideItsFinishedOutputIsRemoved) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  interrupt(request, 17);
  fs::copy(folder / "out.journal", folder / "copy", fs::copy_options::recursive);
  resume_run(request, 21);
  fs::rename(folder / "copy", folder / "out.journal");
  request.resume = true;
  {
    const FileLock other(folder / "out.journal" / "run.json");
    EXPECT_NE(message_of([&] { run(request); }).find("another process"), std::string::npos);
  }
  StoppingProgress progress(1);  // work would throw Interrupted
  EXPECT_TRUE(quantize_model(request, progress)["verified"].get<bool>());
  EXPECT_EQ(entries(folder.path()), 1u);
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

// What a measurement chooses might come out otherwise for the second run.
TEST(Journal, ResumesWithTheChoicesOfTheInterruptedRun) {
  for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16})
    for (const Products products : {Products::kFloat32, Products::kBFloat16, Products::kTwoParts}) {
      if (products != Products::kFloat32 && !has_mixed_product()) continue;
      const TemporaryFolder folder;
      QuantizeRequest request = request_for(folder / "whole", "gptq", 3);
      request.compute = compute;
      request.products = products;
      const json whole = run(request);
      EXPECT_EQ(whole["products"], std::string(name_of(products)));
      request.out = folder / "out";
      interrupt(request, 17);
      request.resume = true;
      request.compute = Compute::kAuto;
      request.products.reset();
      for (int again = 0; again < 2; ++again) {  // goes on, then finds the output done
        const json report = run(request);
        EXPECT_EQ(report["products"], whole["products"]);
        EXPECT_EQ(report["compute"], whole["compute"]);
        EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
      }
    }
}

TEST(Journal, OfOtherProductsIsRefusedWhereTheyAreAskedFor) {
  if (!has_mixed_product()) GTEST_SKIP() << "no mixed product";
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.products = Products::kTwoParts;
  interrupt(request, 17);
  request.resume = true;
  request.products = Products::kFloat32;
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("products: then two-part, now float32"), std::string::npos) << message;
}

TEST(Journal, OfAnotherRequestIsRefusedByWhatDiffers) {
  const TemporaryFolder folder;
  interrupt(request_for(folder / "out", "gptq", 3), 17);
  const auto complaint = [&](auto&& change) {
    QuantizeRequest request = request_for(folder / "out", "gptq", 3);
    request.resume = true;
    change(request);
    return message_of([&] { run(request); });
  };
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(complaint([](auto& request) { apply_setting(request.recipe, "grid.bits=4"); }),
         "then bits = 3, now bits = 4");
  expect(complaint([](auto& request) { request.threads = 1; }), "threads: then 2, now 1");
  expect(complaint([](auto& request) { request.seed = 7; }), "seed: then 0, now 7");
  expect(complaint([](auto& request) { request.sequences = 9; }), "then 8, now 9");
  expect(complaint([](auto& request) {
           request.calibration = testing::example("tinystories-evaluation.txt");
         }),
         "calibration/ids_sha256: then ");
  EXPECT_TRUE(fs::exists(folder / "out.journal" / "block-00001"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(Journal, OfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  const auto copy = [&](const std::string& name) {
    fs::copy(testing::example("stories260K"), folder / name, fs::copy_options::recursive);
    return folder / name;
  };
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.model = copy("model");
  interrupt(request, 17);
  request.model = copy("moved");
  request.resume = true;
  interrupt(request, 20);  // the same model elsewhere
  std::fstream weights(folder / "moved" / "model.safetensors",
                       std::ios::in | std::ios::out | std::ios::binary);
  weights.seekp(-4, std::ios::end);
  weights.write("\0\0\0\x3f", 4);
  weights.close();
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("model/fingerprint: then "), std::string::npos) << message;
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
  write_file_atomically(block / "halftone.json", "{\"linears\": [], \"fingerprints\": {}}");
  message = message_of([&] { run(request); });
  EXPECT_NE(message.find("halftone.json: expected 7 linears"), std::string::npos) << message;
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

TEST(Journal, AFinishedOutputIsNotDoneAgain) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  const json report = run(request);
  request.resume = true;
  const auto before = contents(folder / "out");
  StoppingProgress progress(1);  // work would throw Interrupted
  const json again = quantize_model(request, progress);
  for (const char* key : {"verified", "bytes", "bits_per_weight", "recipe", "calibration"})
    EXPECT_EQ(again[key], report[key]) << key;
  EXPECT_EQ(contents(folder / "out"), before);
  apply_setting(request.recipe, "grid.bits=4");
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("then bits = 3, now bits = 4"), std::string::npos) << message;
  request = request_for(folder / "out", "gptq", 3);
  request.resume = true;
  request.format = "dense";
  EXPECT_NE(message_of([&] { run(request); }).find("format: then native, now dense"),
            std::string::npos);
}

TEST(Journal, AnInterruptedOverwriteKeepsTheOldOutputUntilItIsDone) {
  const TemporaryFolder folder;
  run(request_for(folder / "out", "rtn", 4));
  const auto old = contents(folder / "out");
  QuantizeRequest request = request_for(folder / "out", "gptq", 3);
  request.overwrite = true;
  interrupt(request, 17);
  EXPECT_EQ(contents(folder / "out"), old);
  resume_run(request, 21);
  EXPECT_NE(contents(folder / "out"), old);
  EXPECT_EQ(entries(folder.path()), 1u);
}

}  // namespace
}  // namespace halftone
