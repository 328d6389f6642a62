#include "format/unquantized.h"

#include <gtest/gtest.h>

#include "format/compressed_config.h"
#include "format/gptq_config.h"

namespace halftone {
namespace {

// A model of a family that calls its head and its embedding otherwise than Llama.
OutputPlan plan_of_another_family() {
  OutputPlan plan;
  plan.head = "embed_out";
  plan.embedding = "gpt_neox.embed_in";
  plan.linears = {
      {.name = "a", .out = 32, .in = 64, .grid = {.bits = 4, .group_size = 32, .symmetric = true}}};
  return plan;
}

TEST(Unquantized, HeadAndEmbeddingAreThoseOfThePlan) {
  const OutputPlan plan = plan_of_another_family();
  EXPECT_EQ(plain_linears(plan, {"embed_out", "gpt_neox.embed_in", "lm_head", "router"}),
            (std::vector<std::string>{"lm_head", "router"}));
}

TEST(Unquantized, ConfigsNameTheHeadOfThePlan) {
  OutputPlan plan = plan_of_another_family();
  const auto ignored = [&] {
    return make_compressed_config(plan, {"gpt_neox.embed_in", "router"}).at("ignore");
  };
  EXPECT_EQ(ignored(), (nlohmann::json{"embed_out", "router"}));
  EXPECT_EQ(make_gptq_config(plan, {}, false).at("lm_head"), false);
  plan.linears.push_back(plan.linears.front());
  plan.linears.back().name = "embed_out";
  EXPECT_EQ(ignored(), (nlohmann::json{"router"}));
  EXPECT_EQ(make_gptq_config(plan, {}, false).at("lm_head"), true);
}

}  // namespace
}  // namespace halftone
