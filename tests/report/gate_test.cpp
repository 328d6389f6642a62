#include "report/gate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/fixtures.h"

namespace halftone {
namespace {

using halftone::testing::message_of;

const nlohmann::json kReport = {{"kl", {{"mean", 0.04}, {"stderr", nullptr}}},
                                {"top1", {{"value", 0.91}}},
                                {"broken", std::nan("")},
                                {"model", "x"},
                                {"seconds", 3}};

GateResult check(const std::string& text) {
  return check_gate(parse_gates(text).at(0), kReport);
}

TEST(Gate, IsReadAsNameComparisonNumber) {
  const std::vector<Gate> gates = parse_gates("kl.mean<0.05, top1.value >= 9e-1");
  const std::vector<Gate> expected = {{"kl.mean", Comparison::kLess, 0.05},
                                      {"top1.value", Comparison::kGreaterOrEqual, 0.9}};
  EXPECT_EQ(gates, expected);
  EXPECT_EQ(parse_gates("a<=-1")[0], (Gate{"a", Comparison::kLessOrEqual, -1}));
  EXPECT_EQ(parse_gates("a>1")[0], (Gate{"a", Comparison::kGreater, 1}));
}

TEST(Gate, AnythingElseIsRefused) {
  for (const char* text : {"",
                           " ",
                           ",",
                           "kl.mean",
                           "kl.mean<",
                           "<0.05",
                           "kl.mean<0.05,",
                           ",kl.mean<0.05",
                           "kl.mean<0.05x",
                           "kl.mean<nan",
                           "kl.mean<inf",
                           "kl.mean<1e999",
                           "kl.mean=0.05",
                           "kl.mean==0.05",
                           "kl mean<1",
                           ".kl<1",
                           "kl.<1",
                           "kl..mean<1",
                           "a<<1",
                           "a< =1",
                           "a<0,05",
                           "a<1;b<2",
                           "a<1<2"})
    EXPECT_NE(message_of([&] { parse_gates(text); }).find("gate "), std::string::npos) << text;
}

TEST(Gate, HoldsOrNot) {
  EXPECT_TRUE(check("kl.mean<0.05").holds);
  EXPECT_FALSE(check("kl.mean<0.04").holds);
  EXPECT_TRUE(check("kl.mean<=0.04").holds);
  EXPECT_TRUE(check("top1.value>0.9").holds);
  EXPECT_FALSE(check("top1.value>0.91").holds);
  EXPECT_TRUE(check("top1.value>=0.91").holds);
  EXPECT_TRUE(check("seconds>=3").holds);
  EXPECT_EQ(check("kl.mean<0.05").text, "gate kl.mean < 0.05: 0.04, holds");
  EXPECT_EQ(check("kl.mean>1").text, "gate kl.mean > 1: 0.04, does not hold");
}

TEST(Gate, OnNanHoldsNothing) {
  for (const char* text : {"broken<1", "broken>1", "broken<=1", "broken>=1", "kl.stderr<1"})
    EXPECT_FALSE(check(text).holds) << text;
}

TEST(Gate, OnAnUnknownNumberListsTheKnownOnes) {
  for (const char* text : {"kl.men<1", "kl<1", "model<1", "kl.mean.x<1", "x<1"}) {
    const std::string message = message_of([&] { check(text); });
    EXPECT_NE(message.find("broken, kl.mean, seconds, top1.value"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace halftone
