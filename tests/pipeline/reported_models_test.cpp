#include "pipeline/reported_models.h"

#include <gtest/gtest.h>

#include <fstream>

#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
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

class ReportedModels : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const json& content) {
    std::ofstream(folder_ / name) << content.dump();
    return folder_ / name;
  }
  json evaluated(const fs::path& model) {
    EvaluateRequest request;
    request.texts = {example("tinystories-evaluation.txt")};
    request.length = 64;
    request.windows = 3;
    SilentProgress progress;
    return compare_models({example("stories260K"), model}, request, progress);
  }
  const TemporaryFolder folder_;
};

TEST_F(ReportedModels, AnOutputAndItsEvaluationComeTogether) {
  run(request_for(folder_ / "w3", "gptq", 3));
  const fs::path compared = write("compared.json", evaluated(folder_ / "w3"));
  const auto models = read_reported_models({folder_ / "w3/", compared});
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "w3");
  ASSERT_TRUE(models[0].run);
  EXPECT_EQ(models[0].run->linears.size(), 35u);
  EXPECT_GT(models[0].run->written->bytes, 0u);
  ASSERT_EQ(models[0].evaluations.size(), 1u);
  EXPECT_GT(models[0].evaluations[0]["kl"]["mean"], 0);
  EXPECT_EQ(models[1].name, "stories260K");
  EXPECT_FALSE(models[1].run);
  EXPECT_NE(runs_html(models).find("<circle"), std::string::npos);
}

TEST_F(ReportedModels, AReportOfARunHasItsTimeAndSize) {
  const json report = run(request_for(folder_ / "w3", "rtn", 3));
  const auto models = read_reported_models({write("w3.json", report)});
  ASSERT_EQ(models.size(), 1u);
  ASSERT_TRUE(models[0].run && models[0].run->verified());
  EXPECT_EQ(models[0].run->written->bytes, report["bytes"]);
  EXPECT_EQ(*models[0].run->seconds, report["seconds"]);
}

TEST_F(ReportedModels, OfTheSameNameAreToldApartByTheirPaths) {
  const json a = {{"model", "a/w3"}, {"bits_per_weight", json::object()}},
             b = {{"model", "b/w3"}, {"bits_per_weight", json::object()}};
  const auto models = read_reported_models({write("ab.json", {a, b, a})});
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "a/w3");
  EXPECT_EQ(models[0].evaluations.size(), 2u);
  EXPECT_EQ(models[1].name, "b/w3");
}

TEST_F(ReportedModels, AnythingElseIsRefusedByItsName) {
  const auto message = [&](const fs::path& path) {
    return message_of([&] { read_reported_models({path}); });
  };
  EXPECT_TRUE(message(folder_ / "none").ends_with("none: does not exist"));
  EXPECT_NE(message(example("stories260K")).find("expected an output of `halftone quantize`"),
            std::string::npos);
  for (const json& other :
       {json(3), json::object(), json({1, 2}), json({{"recipe", 1}, {"linears", 2}})})
    EXPECT_NE(message(write("other.json", other)).find("other.json: expected what "),
              std::string::npos)
        << other;
  std::ofstream(folder_ / "broken.json") << "{";
  EXPECT_NE(message(folder_ / "broken.json").find("broken.json: "), std::string::npos);
}

}  // namespace
}  // namespace halftone
