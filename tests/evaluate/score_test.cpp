#include "evaluate/score.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "checkpoint/checkpoint.h"
#include "evaluate/statistics.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::test_data;

constexpr double kNllTolerance = 1e-4;  // float32 forward against transformers, nats a token

Model open_demo() {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  return Model(checkpoint);
}

TokenWindows golden_windows() {
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  const at::Tensor ids = golden.view(*golden.find("ids")).contiguous();
  const auto* data = ids.data_ptr<int32_t>();
  return {2, 256, std::vector<TokenId>(data, data + ids.numel())};
}

// The weights of another source, the named tensor scaled.
class Scaled final : public WeightSource {
 public:
  Scaled(std::shared_ptr<const Checkpoint> source, std::string name, double factor)
      : source_(std::move(source)), name_(std::move(name)), factor_(factor) {}
  const nlohmann::json& config() const override { return source_->config(); }
  std::vector<std::string> names() const override { return source_->names(); }
  bool contains(std::string_view name) const override { return source_->contains(name); }
  WeightInfo info(std::string_view name) const override { return source_->info(name); }
  at::Tensor load(std::string_view name) const override {
    return name == name_ ? source_->load(name) * factor_ : source_->load(name);
  }
  void release(std::string_view) const override {}

 private:
  std::shared_ptr<const Checkpoint> source_;
  std::string name_;
  double factor_;
};

// Its logits are 0.9 of the demo model's.
Model open_softened_demo() {
  const auto checkpoint =
      std::make_shared<const Checkpoint>(fs::path(HALFTONE_SOURCE_DIR) / "examples/stories260K");
  return Model(std::make_shared<Scaled>(checkpoint, "model.norm.weight", 0.9));
}

TEST(Score, NllEqualsTransformers) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Scores scores = score_windows(open_demo(), nullptr, golden_windows(), execution, progress);
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  ASSERT_EQ(scores.nll.size(), 2u * 255);
  for (int64_t w = 0; w < 2; ++w) {
    const at::Tensor expected = golden.view(*golden.find(fmt::format("nll_{}", w)));
    for (int64_t i = 0; i < 255; ++i)
      ASSERT_NEAR(scores.nll[static_cast<size_t>(w * 255 + i)], expected[i].item<double>(),
                  kNllTolerance);
  }
}

TEST(Score, AModelAgreesWithItself) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model model = open_demo();
  Scores scores = score_windows(model, &model, golden_windows(), execution, progress);
  EXPECT_EQ(percentile(scores.kl, 1), 0);
  EXPECT_EQ(std::accumulate(scores.same_top.begin(), scores.same_top.end(), 0), 2 * 255);
  EXPECT_EQ(scores.nll, scores.reference_nll);
}

TEST(Score, DivergenceEqualsItsDefinition) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model reference = open_demo(), changed = open_softened_demo();
  const TokenWindows windows = golden_windows();
  const Scores scores = score_windows(changed, &reference, windows, execution, progress);
  // scaling the final norm scales the logits: the definition, from the golden logits, in float64
  const SafetensorsFile golden(test_data("forward/stories260K_forward.safetensors"));
  const at::Tensor logits = golden.view(*golden.find("logits_0")).to(at::kDouble).narrow(0, 0, 255);
  const at::Tensor log_p = at::log_softmax(logits, -1), log_q = at::log_softmax(logits * 0.9, -1);
  const at::Tensor kl = (log_p.exp() * (log_p - log_q)).sum(-1);
  for (int64_t i = 0; i < 255; ++i)
    ASSERT_NEAR(scores.kl[static_cast<size_t>(i)], kl[i].item<double>(), kNllTolerance);
  EXPECT_EQ(std::accumulate(scores.same_top.begin(), scores.same_top.end(), 0), 2 * 255);
}

TEST(Score, AReferenceThatIsKeptIsRunOnceAndGivesTheSameScores) {
  const Execution execution{at::kCPU, at::kFloat, 1};
  SilentProgress progress;
  const Model reference = open_demo(), changed = open_softened_demo();
  const TokenWindows windows = golden_windows();
  const Scores apart = score_windows(changed, &reference, windows, execution, progress);
  ReferenceStates kept;
  score_windows(reference, nullptr, windows, execution, progress, {&kept});
  ASSERT_TRUE(kept.hidden.defined());
  const Scores together = score_windows(changed, &reference, windows, execution, progress, {&kept});
  EXPECT_EQ(together.kl, apart.kl);
  EXPECT_EQ(together.reference_nll, apart.reference_nll);
  EXPECT_EQ(together.nll, apart.nll);
  // what was kept is what is used
  kept.hidden = kept.hidden * 2;
  const Scores other = score_windows(changed, &reference, windows, execution, progress, {&kept});
  EXPECT_NE(other.reference_nll, apart.reference_nll);
}

}  // namespace
}  // namespace halftone
