#include "kernels/products.h"

#include <gtest/gtest.h>

namespace halftone {
namespace {

// Both shapes, float32 taking this many times as long as bfloat16.
Products choice_for(double update, double sum) {
  return clearly_fastest({{{512, 512, 512, update, 1}, {256, 256, 2048, sum, 1}}});
}

TEST(Products, AreOfBFloat16OnlyWhereThatIsClearlyFasterOnBothShapes) {
  for (const double emulated : {0.1, 0.5, 0.7, 1.0, 1.2, kClearly})
    EXPECT_EQ(choice_for(emulated, emulated), Products::kFloat32) << emulated;
  EXPECT_EQ(choice_for(1.2, 8), Products::kFloat32);
  EXPECT_EQ(choice_for(8, 1.2), Products::kFloat32);
  for (const double native : {1.4, 2.0, 3.0})
    EXPECT_EQ(choice_for(native, native), Products::kBFloat16) << native;
}

TEST(Products, AreOfTwoPartsOnlyWhereThreeOfThemAreClearlyFasterThanOne) {
  EXPECT_EQ(choice_for(3.8, 9), Products::kBFloat16);
  EXPECT_EQ(choice_for(9, 3.8), Products::kBFloat16);
  EXPECT_EQ(choice_for(5.5, 5.5), Products::kTwoParts);  // AMX
}

TEST(Products, AreOfFloat32WhereThereIsNothingElse) {
  EXPECT_EQ(clearly_fastest({}), Products::kFloat32);
}

TEST(Products, AreWhatTheyAreSetTo) {
  for (const Products choice : {Products::kTwoParts, Products::kBFloat16, Products::kFloat32}) {
    use_products(choice);
    EXPECT_EQ(products(), choice);
    EXPECT_EQ(products_named(name_of(choice)), choice);
  }
  use_products(fastest_products());
  EXPECT_EQ(products(), fastest_products());
  EXPECT_FALSE(products_named("").has_value());
  EXPECT_FALSE(products_named("Float32").has_value());
}

}  // namespace
}  // namespace halftone
