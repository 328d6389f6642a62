#include "pipeline/output_plan.h"

#include <gtest/gtest.h>

#include <vector>

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

TEST(OutputPlan, CodesOfDifferentBitsAddUp) {
  const std::vector<LinearPlan> linears = {{.name = "a", .out = 4, .in = 16, .grid = {.bits = 3}},
                                           {.name = "b", .out = 2, .in = 8, .grid = {.bits = 8}}};
  EXPECT_EQ(code_bytes(linears), 4 * 16 * 3 / 8 + 2 * 8);
  EXPECT_EQ(code_bytes({}), 0);
  EXPECT_EQ(bytes_on_disk(1000), 1020u);
}

}  // namespace
}  // namespace halftone
