#include "evaluate/block_errors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "evaluate/demo_models.h"

namespace halftone {
namespace {

using ::halftone::testing::golden_windows;
using ::halftone::testing::open_demo;
using ::halftone::testing::open_scaled_demo;

const Execution kExecution{at::kCPU, at::kFloat, 1};

at::Tensor some_ids() {
  return at::tensor(golden_windows().ids, at::kInt).view({2, 256});
}

std::vector<PartError> errors_of(const Model& model) {
  SilentProgress progress;
  return part_errors(model, open_demo(), some_ids(), kExecution, progress);
}

TEST(BlockErrors, AModelHasNoneAgainstItself) {
  const std::vector<PartError> errors = errors_of(open_demo());
  ASSERT_EQ(errors.size(), 7u);
  EXPECT_EQ(errors.front().name, "model.embed_tokens");
  EXPECT_EQ(errors[1].name, "model.layers.0");
  EXPECT_EQ(errors.back().name, "lm_head");
  for (const PartError& part : errors) EXPECT_EQ(part.error, 0) << part.name;
}

TEST(BlockErrors, OneChangedBlockIsTheOnlyOneThatDiffers) {
  const auto errors = errors_of(open_scaled_demo("model.layers.3.mlp.down_proj.weight", 8));
  for (const PartError& part : errors)
    EXPECT_EQ(part.error > 1, part.name == "model.layers.3") << part.name << part.error;
  EXPECT_EQ(errors[1].error, 0);
  EXPECT_EQ(errors[5].error, 0);
}

TEST(BlockErrors, AreRelativeToWhatTheBlockAdds) {
  // all that a block adds but for its attention comes from down_proj; without it the error is the
  // share of the change that is gone
  const auto errors = errors_of(open_scaled_demo("model.layers.0.mlp.down_proj.weight", 0));
  EXPECT_GT(errors[1].error, 0.01);
  EXPECT_LT(errors[1].error, 4);
}

TEST(BlockErrors, EmbeddingAndHeadAreParts) {
  // the demo's are one tensor
  const auto errors = errors_of(open_scaled_demo("model.embed_tokens.weight", 2));
  EXPECT_NEAR(errors.front().error, 1, 1e-6);  // |2e - e|^2 / |e|^2
  EXPECT_NEAR(errors.back().error, 1, 1e-5);
}

}  // namespace
}  // namespace halftone
