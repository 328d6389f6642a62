// What --resume makes of interrupted runs and of finished ones, on the demo model.
#include "pipeline/resume.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/mixed_product.h"
#include "pipeline/demo_request.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::entries;
using ::halftone::testing::interrupt;
using ::halftone::testing::kLinearsOfBlock;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::resume_run;
using ::halftone::testing::run;
using ::halftone::testing::StoppingProgress;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

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
    Resume, InterruptedRuns,
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

TEST(Resume, IsResumedAsOftenAsARunIsInterrupted) {
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

TEST(Resume, ThatAKillHasLeftBesideItsFinishedOutputIsRemoved) {
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
  EXPECT_TRUE(quantize_model(request, progress).verified());
  EXPECT_EQ(entries(folder.path()), 1u);
}

// What a measurement chooses might come out otherwise for the second run.
TEST(Resume, ResumesWithTheChoicesOfTheInterruptedRun) {
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

TEST(Resume, AFinishedOutputIsNotDoneAgain) {
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

TEST(Resume, AnInterruptedOverwriteKeepsTheOldOutputUntilItIsDone) {
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
