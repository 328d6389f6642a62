// A linear's own rotation: methods.md 8.5.
#include "quantize/linear_rotation.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "layers.h"
#include "matrix/orthogonal.h"

namespace halftone::testing {
namespace {

constexpr double kExact = 1e-12, kFloat32 = 1e-5;

double largest(const at::Tensor& x) {
  return x.abs().max().item<double>();
}

// Q of a side, written down.   -> (width, width) float64
at::Tensor dense(const at::Tensor& signs, int64_t block) {
  const int64_t width = signs.size(0);
  const at::Tensor one = hadamard(block, 0).dense();
  at::Tensor q = at::zeros({width, width}, at::kDouble);
  for (int64_t first = 0; first < width; first += block)
    q.narrow(0, first, block).narrow(1, first, block).copy_(one);
  return q * (1 - 2 * signs.to(at::kDouble)).unsqueeze(1);
}

TEST(LinearRotation, IsTheProductWithBothMatrices) {
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{48, 576}, {172, 128}, {16, 1536}}) {
    const at::Tensor weight = normal({out, in}, 3);
    const LinearRotation rotation = rotation_of(out, in);
    const at::Tensor left = dense(rotation.output_signs, rotation.output_block);
    const at::Tensor right = dense(rotation.input_signs, rotation.input_block);
    const at::Tensor rotated = rotate(weight, rotation);
    EXPECT_LT(largest(rotated - left.t().mm(weight).mm(right)), kExact);
    EXPECT_LT(largest(rotate_back(rotated, rotation) - weight), kExact);
    const at::Tensor single = weight.to(at::kFloat);
    EXPECT_LT(largest(rotate_back(rotate(single, rotation), rotation) - single), kFloat32);
    EXPECT_EQ(rotated.scalar_type(), at::kDouble);
  }
}

TEST(LinearRotation, BlocksAreWholeSidesWhereThereIsAMatrix) {
  EXPECT_EQ(rotation_block(576), 576);
  EXPECT_EQ(rotation_block(1536), 1536);
  EXPECT_EQ(rotation_block(896), 896);
  EXPECT_EQ(rotation_block(4864), 4864);
  EXPECT_EQ(rotation_block(11008), 256);  // 43 * 256
  EXPECT_EQ(rotation_block(16), 16);
}

TEST(LinearRotation, AMomentIsThatOfRotatedInputs) {
  const at::Tensor x = normal({200, 192}, 1), other = normal({200, 192}, 2);
  const LinearRotation rotation = rotation_of(16, 192);
  const at::Tensor q = dense(rotation.input_signs, rotation.input_block);
  const at::Tensor moment = other.t().mm(x);  // not symmetric
  const at::Tensor expected = other.mm(q).t().mm(x.mm(q));
  EXPECT_LT(largest(rotate_moment(moment) - expected), 1e-10);
  EXPECT_FALSE(rotate_moment({}).defined());
}

TEST(LinearRotation, NumbersDoNotDependOnThreads) {
  const at::Tensor weight = normal({112, 576}, 3).to(at::kFloat);
  const LinearRotation rotation = rotation_of(112, 576);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = rotate_back(weight, rotation);
  at::set_num_threads(3);
  EXPECT_TRUE(rotate_back(weight, rotation).equal(alone));
  at::set_num_threads(before);
}

TEST(LinearRotation, SignsAndBlocksThatAreNoneAreErrors) {
  const auto refused = [](auto&& spoil) {
    LinearRotation rotation = rotation_of(32, 64);
    spoil(rotation);
    try {
      check_rotation(rotation, 32, 64);
    } catch (const Error&) {
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_FALSE(refused([](auto& r) { r.input_block = 16; }));
  EXPECT_TRUE(refused([](auto& r) { r.input_block = 48; }));
  EXPECT_TRUE(refused([](auto& r) { r.input_block = 0; }));
  EXPECT_TRUE(refused([](auto& r) { r.output_block = 64; }));
  EXPECT_TRUE(refused([](auto& r) { r.output_signs = at::zeros({64}, at::kByte); }));
  EXPECT_TRUE(refused([](auto& r) { r.input_signs = at::full({64}, 2, at::kByte); }));
  EXPECT_TRUE(refused([](auto& r) { r.input_signs = at::Tensor(); }));
}

}  // namespace
}  // namespace halftone::testing
