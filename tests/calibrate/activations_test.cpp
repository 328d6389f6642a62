#include "calibrate/activations.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(Activations, GivesBackWhatEachBatchLeft) {
  at::manual_seed(1);
  Activations store(at::zeros({5, 3, 4}), {7});
  const at::Tensor hidden = at::randn({5, 3, 4}), wide = at::randn({5, 3, 7}),
                   narrow = at::randn({5, 3, 2});
  const auto part = [](const at::Tensor& x, int64_t first, int64_t count) {
    return x.narrow(0, first, count);
  };
  store.put({0, 2}, {part(hidden, 0, 2), {part(wide, 0, 2)}});
  store.put({2, 3}, {part(hidden, 2, 3), {part(narrow, 2, 3)}});  // another width, in its own place
  EXPECT_TRUE(store.take({0, 2}, at::kFloat).parts[0].equal(part(wide, 0, 2)));
  EXPECT_TRUE(store.take({2, 3}, at::kFloat).parts[0].equal(part(narrow, 2, 3)));
  EXPECT_TRUE(store.hidden().equal(hidden));
  store.put({0, 2}, {part(hidden, 0, 2), {}});
  EXPECT_FALSE(store.take({0, 2}, at::kFloat).parts[0].defined());
  EXPECT_EQ(store.take({2, 3}, at::kDouble).parts[0].scalar_type(), at::kDouble);
}

TEST(Activations, KeepsEachPartByItself) {
  Activations store(at::zeros({2, 3, 4}), {5, 2});
  const at::Tensor hidden = at::randn({2, 3, 4}), first = at::randn({2, 3, 5}),
                   second = at::randn({2, 3, 2});
  store.put({0, 2}, {hidden, {first, second}});
  EXPECT_TRUE(store.take({0, 2}, at::kFloat).parts[0].equal(first));
  EXPECT_TRUE(store.take({0, 2}, at::kFloat).parts[1].equal(second));
  store.put({0, 2}, {hidden, {at::Tensor(), second}});
  EXPECT_FALSE(store.take({0, 2}, at::kFloat).parts[0].defined());
  EXPECT_TRUE(store.take({0, 2}, at::kFloat).parts[1].equal(second));
}

TEST(Activations, KeepsItsOwnCopyInItsOwnType) {
  Activations store(at::zeros({1, 1, 2}, at::kBFloat16), {2});
  at::Tensor hidden = at::full({1, 1, 2}, 1.01);  // bfloat16: 1.0078125
  store.put({0, 1}, {hidden, {}});
  hidden.zero_();
  EXPECT_EQ(store.take({0, 1}, at::kFloat).hidden.max().item<float>(), 1.0078125F);
}

TEST(Activations, WritesOnlyWhatHasChanged) {
  const at::Tensor start = at::randn({2, 3, 4});
  Activations store(start.clone(), {4});
  const BlockState taken = store.take({0, 2}, at::kFloat);
  BlockState state = taken;
  state.parts = {at::ones({2, 3, 4})};
  store.put({0, 2}, state, taken);
  EXPECT_TRUE(store.hidden().equal(start));
  EXPECT_TRUE(store.take({0, 2}, at::kFloat).parts[0].equal(state.parts[0]));
  state.hidden = taken.hidden + 1;
  store.put({0, 2}, state, taken);
  EXPECT_TRUE(store.hidden().equal(start + 1));
}

TEST(Activations, ACopyHasNumbersOfItsOwn) {
  const at::Tensor start = at::randn({2, 3, 4});
  Activations store(start.clone(), {4});
  const Activations copy = store.copy();
  store.put({0, 2}, {at::zeros({2, 3, 4}), {at::ones({2, 3, 4})}});
  EXPECT_TRUE(copy.hidden().equal(start));
  EXPECT_TRUE(copy.hidden({1, 1}).equal(start.narrow(0, 1, 1)));
  EXPECT_FALSE(copy.take({0, 2}, at::kFloat).parts[0].defined());
}

}  // namespace
}  // namespace halftone
