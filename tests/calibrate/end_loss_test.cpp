#include "calibrate/end_loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "calibrate/demo_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::open_demo;
using ::halftone::testing::relative_error;
using ::halftone::testing::some_ids;

const Execution kFloat32{at::kCPU, at::kFloat, 2}, kFloat64{at::kCPU, at::kDouble, 2};

at::Tensor log_probabilities(const Model& model, const at::Tensor& hidden) {
  return at::log_softmax(model.logits(model.load_head(kFloat64), hidden), -1);
}

// The mean loss's definition, in one piece.   hidden: (batch, length, hidden) float64 -> (batch)
at::Tensor plain_loss(const Model& model, const at::Tensor& hidden, const at::Tensor& ids) {
  const int64_t targets = ids.size(1) - 1;
  const at::Tensor log_p = log_probabilities(model, hidden).narrow(1, 0, targets);
  const at::Tensor next = ids.narrow(1, 1, targets).to(at::kLong).unsqueeze(2);
  return log_p.gather(2, next).neg().sum({1, 2});
}

TEST(EndLoss, GradientsEqualCentralDifferences) {
  const at::NoGradGuard no_grad;
  const Model model = open_demo();
  const at::Tensor ids = some_ids(2, 6), hidden = at::randn({2, 6, 64}, at::kDouble);
  const EndLoss loss(model, ids, kFloat64, LabelKind::kTruth, 0);
  const LossGradient result = loss.differentiate(hidden, 0);
  EXPECT_LT(relative_error(result.loss, plain_loss(model, hidden, ids)), 1e-12);
  constexpr double kStep = 1e-5;
  for (int trial = 0; trial < 4; ++trial) {
    const at::Tensor direction = at::randn_like(hidden);
    const double slope = ((plain_loss(model, hidden + direction * kStep, ids) -
                           plain_loss(model, hidden - direction * kStep, ids))
                              .sum() /
                          (2 * kStep))
                             .item<double>();
    const double ours = (result.hidden * direction).sum().item<double>() / kLossScale;
    EXPECT_NEAR(ours, slope, 1e-7 * std::abs(slope) + 1e-8);
  }
}

// Of a DeiT, whose head reads two positions of an image.
TEST(EndLoss, TheClassOfAnImageIsItsOnlyTarget) {
  const at::NoGradGuard no_grad;
  const Model model(
      std::make_shared<const Checkpoint>(testing::test_data("forward/vision/deit_teacher")));
  const ImageSizes& sizes = model.config().image;
  const at::Tensor items = at::randn({3, sizes.positions(), sizes.patch_numbers()}),
                   labels = at::tensor({4, 0, 2}, at::kLong),
                   hidden = at::randn({3, sizes.positions(), 16}, at::kDouble);
  const EndLoss loss(model, {items, labels}, kFloat64, LabelKind::kTruth, 0);
  EXPECT_EQ(loss.targets(), 1);
  const LossGradient result = loss.differentiate(hidden, 0);
  const auto plain = [&](const at::Tensor& x) {
    return log_probabilities(model, x.narrow(1, 0, 2)).gather(1, labels.unsqueeze(1)).neg().sum(1);
  };
  EXPECT_LT(relative_error(result.loss, plain(hidden)), 1e-12);
  EXPECT_TRUE(result.hidden.narrow(1, 2, 4).eq(0).all().item<bool>());
  constexpr double kStep = 1e-5;
  const at::Tensor direction = at::randn_like(hidden);
  const double slope =
      ((plain(hidden + direction * kStep) - plain(hidden - direction * kStep)).sum() / (2 * kStep))
          .item<double>();
  const double ours = (result.hidden * direction).sum().item<double>() / kLossScale;
  EXPECT_NEAR(ours, slope, 1e-7 * std::abs(slope) + 1e-8);
}

TEST(EndLoss, ChunksOfPositionsMakeOneWhole) {
  const at::NoGradGuard no_grad;
  const Model model = open_demo();
  const int64_t sequences = 80, length = 512;  // more positions than one chunk holds
  const at::Tensor ids = some_ids(sequences, length);
  const at::Tensor hidden = at::randn({sequences, length, 64});
  const EndLoss loss(model, ids, kFloat32, LabelKind::kTruth, 0);
  const LossGradient all = loss.differentiate(hidden, 0);
  for (const int64_t i : {0, 63, 64, 79}) {
    const LossGradient one = loss.differentiate(hidden.narrow(0, i, 1), i);
    EXPECT_LT(relative_error(all.hidden.narrow(0, i, 1), one.hidden), 1e-5);
    EXPECT_NEAR(all.loss[i].item<double>() / one.loss.item<double>(), 1, 1e-6);
  }
}

TEST(EndLoss, SampledLabelsFollowTheModelsDistribution) {
  const at::NoGradGuard no_grad;
  const Model model = open_demo();
  const int64_t sequences = 20000;
  const at::Tensor ids = at::full({sequences, 2}, 5, at::kInt);
  // every sequence predicts from the same state
  const at::Tensor hidden = at::randn({1, 2, 64}).expand({sequences, 2, 64}).contiguous();
  const EndLoss loss(model, ids, kFloat32, LabelKind::kSampled, 1);
  const at::Tensor drawn = loss.differentiate(hidden, 0).loss;  // -log p(label)
  const at::Tensor log_p = log_probabilities(model, hidden[0][0].to(at::kDouble));
  // the mean surprise is the entropy, its spread that of -log p under p
  const at::Tensor p = log_p.exp();
  const double entropy = -(p * log_p).sum().item<double>();
  const double variance = (p * log_p.square()).sum().item<double>() - entropy * entropy;
  const double error = std::sqrt(variance / static_cast<double>(sequences));
  EXPECT_NEAR(drawn.mean().item<double>(), entropy, 4 * error);
  EXPECT_LT(error, 0.02 * entropy);
  // each token as often as it is probable
  for (const int64_t token : {p.argmax().item<int64_t>(), p.argsort()[-2].item<int64_t>()}) {
    const double chance = p[token].item<double>();
    const double count =
        (drawn + log_p[token]).abs().lt(1e-5).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(count, chance,
                4 * std::sqrt(chance * (1 - chance) / static_cast<double>(sequences)));
  }
}

TEST(EndLoss, SampledLabelsMakeGradientsZeroOnAverage) {
  const at::NoGradGuard no_grad;
  const Model model = open_demo();
  const int64_t sequences = 20000;
  const at::Tensor ids = at::full({sequences, 2}, 5, at::kInt);
  const at::Tensor hidden = at::randn({1, 2, 64}).expand({sequences, 2, 64}).contiguous();
  // |mean|^2 over the mean |g|^2: 1 for equal gradients, about 1 / sequences for independent ones
  const auto bias = [&](LabelKind labels) {
    const EndLoss loss(model, ids, kFloat32, labels, 2);
    const at::Tensor g = loss.differentiate(hidden, 0).hidden.select(1, 0);
    return (g.mean(0).square().sum() / g.square().sum(1).mean()).item<double>();
  };
  EXPECT_LT(bias(LabelKind::kSampled), 10.0 / static_cast<double>(sequences));
  EXPECT_GT(bias(LabelKind::kTruth), 0.99);
}

}  // namespace
}  // namespace halftone
