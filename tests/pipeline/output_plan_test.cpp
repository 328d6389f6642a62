#include "pipeline/output_plan.h"

#include <gtest/gtest.h>

#include "pipeline/demo_request.h"

namespace halftone {
namespace {

TEST(OutputPlan, NamesHeadAndEmbeddingByTheModelsFamily) {
  const OpenedModel model(testing::example("stories260K"));
  const OutputPlan plan = plan_output(model, model.config_json());
  EXPECT_EQ(plan.source, &model.weights->source());
  EXPECT_EQ(plan.head, "lm_head");
  EXPECT_EQ(plan.embedding, "model.embed_tokens");
  EXPECT_EQ(plan.dtype, at::kFloat);
  EXPECT_TRUE(plan.linears.empty());
}

}  // namespace
}  // namespace halftone
