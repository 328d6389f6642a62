#include "pipeline/stage_solvers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace halftone {
namespace {

TEST(StageSolvers, LinearsThatShareAnInputDoNotShareAnOutputHessian) {
  const std::vector<std::string> names = {"q", "k", "v"};
  StageStatistics statistics;
  std::map<std::string, at::Tensor> weights;
  for (const std::string& name : names) {
    const at::Tensor g = at::randn({96, 64});
    statistics.linears[name] = {g.t().mm(g), 96};
    weights[name] = at::randn({32, 64});
  }
  LinearRecipe recipe;
  recipe.grid.bits = 3;
  recipe.grid.group_size = 32;
  recipe.objective.kind = ObjectiveKind::kOac;
  const auto codes = [&](const StageStatistics& of, std::vector<std::string> order) {
    StageSolvers solvers(of, 1);
    std::map<std::string, at::Tensor> all;
    for (const std::string& name : order)
      all[name] = solvers.quantize({name, name, 32, 64, 0}, recipe, weights[name]).quantized.codes;
    return all;
  };
  const auto forward = codes(statistics, {"q", "k", "v"});
  const auto backward = codes(statistics, {"v", "k", "q"});
  StageStatistics shared;
  for (const std::string& name : names) shared.linears[name] = statistics.linears["q"];
  const auto aliased = codes(shared, {"q", "k", "v"});
  for (const std::string& name : names) {
    EXPECT_TRUE(forward.at(name).equal(backward.at(name))) << name;
    EXPECT_EQ(forward.at(name).equal(aliased.at(name)), name == "q") << name;
  }
}

}  // namespace
}  // namespace halftone
