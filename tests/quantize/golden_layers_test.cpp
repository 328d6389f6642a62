// Real layers: the seven linears of stories260K block 2 with their input Hessians over 8 windows.
#include "layers.h"

namespace halftone::testing {
namespace {

class GoldenLayers : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Block2, GoldenLayers,
                         ::testing::Values("self_attn.q_proj", "self_attn.k_proj",
                                           "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                                           "mlp.up_proj", "mlp.down_proj"));

TEST_P(GoldenLayers, CodesAreThoseOfThePlainReference) {
  HALFTONE_REQUIRE_SHARED("golden/forward/stories260K_block2_grad.safetensors");
  const auto statistics =
      read_safetensors(shared_data("golden/forward/stories260K_block2_grad.safetensors"));
  const auto model = read_safetensors(shared_data("models/stories260K/hf/model.safetensors"));
  const std::string name = GetParam();
  const Layer layer{model.at("model.layers.2." + name + ".weight").to(at::kDouble),
                    statistics.at("XtX." + name).to(at::kDouble)};
  for (const bool static_groups : {true, false}) {
    LinearRecipe recipe;
    recipe.grid = {.bits = 3, .group_size = 48, .clip_search = true};
    recipe.order = {OrderKind::kActivation, static_groups};
    const ReferenceResult expected = reference_of(layer, recipe);
    const LinearOutcome outcome = quantize(layer, recipe);
    EXPECT_EQ(count_differing(outcome.quantized.codes, expected.codes), 0);
    EXPECT_NEAR(quantize32(layer, recipe).loss / expected.loss, 1, 1e-3);
  }
}

}  // namespace
}  // namespace halftone::testing
