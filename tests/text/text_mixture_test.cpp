#include "text/text_mixture.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::TemporaryFolder;
using Shares = std::vector<int64_t>;

Shares shares(int64_t count, const std::vector<double>& weights) {
  return shares_by_weight(count, weights);
}

TEST(WeighedText, HasTheWeightBehindItsLastColon) {
  const auto expect = [](const std::string& written, const std::string& file, double weight) {
    const WeighedText text = weighed_text(written);
    EXPECT_EQ(text.file, file) << written;
    EXPECT_EQ(text.weight, weight) << written;
  };
  expect("a.txt", "a.txt", 1);
  expect("a.txt:3", "a.txt", 3);
  expect("texts/a.txt:0.25", "texts/a.txt", 0.25);
  expect("a:2.txt:1e3", "a:2.txt", 1000);
  expect("no-such:text", "no-such:text", 1);  // opening it says what is wrong
  expect("builtin", "", 1);
  expect("builtin:2", "", 2);
  expect("./builtin", "./builtin", 1);
  EXPECT_EQ(weighed_text("builtin:2").name(), "builtin");
  EXPECT_EQ(weighed_text("texts/a.txt:2").name(), "a.txt");
}

TEST(WeighedText, ThatIsThereWithItsColonIsThatFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.txt:3") << "text";
  const WeighedText whole = weighed_text((folder / "a.txt:3").string());
  EXPECT_EQ(whole.file, folder / "a.txt:3");
  EXPECT_EQ(whole.weight, 1);
  const WeighedText weighed = weighed_text((folder / "a.txt:3:2").string());
  EXPECT_EQ(weighed.file, folder / "a.txt:3");
  EXPECT_EQ(weighed.weight, 2);
}

TEST(WeighedText, OfNoPositiveNumberIsRefused) {
  const TemporaryFolder folder;
  const std::string file = (folder / "a.txt").string();
  std::ofstream(file) << "text";
  for (const char* weight : {"0", "-1", "nan", "inf", "1e999", "x", "3x", "", " 3", "+3"}) {
    const std::string message = message_of([&] { weighed_text(file + ":" + weight); });
    EXPECT_NE(message.find("expected a positive number behind the colon, found"), std::string::npos)
        << weight << ": " << message;
  }
  EXPECT_NE(message_of([] { weighed_text("none.txt:0"); }).find("positive"), std::string::npos);
  EXPECT_NE(message_of([] { weighed_text("builtin:x"); }).find("positive"), std::string::npos);
  EXPECT_EQ(message_of([] { weighed_text(""); }), "expected FILE or FILE:WEIGHT, found nothing");
  EXPECT_EQ(message_of([] { weighed_text(":3"); }), ":3: expected FILE:WEIGHT, found no file");
}

TEST(WeighedText, IsRefusedWithItsPlaceWhereACallerHasGivenNoWeight) {
  const std::vector<WeighedText> texts = {{.file = "a.txt"}, {.file = "b.txt", .weight = -1}};
  EXPECT_EQ(message_of([&] { require_weights(texts); }),
            "b.txt: expected a positive weight, found -1");
  EXPECT_NO_THROW(require_weights(std::span(texts).first(1)));
}

TEST(Shares, AreOfTheLargestRemainders) {
  EXPECT_EQ(shares(128, {3, 1}), (Shares{96, 32}));
  EXPECT_EQ(shares(10, {3, 1}), (Shares{8, 2}));  // 7.5 and 2.5: the first of equal ones
  EXPECT_EQ(shares(10, {1, 1, 1}), (Shares{4, 3, 3}));
  EXPECT_EQ(shares(7, {5, 3, 1}), (Shares{4, 2, 1}));  // 3.89, 2.33, 0.78
  EXPECT_EQ(shares(8, {1000, 1}), (Shares{8, 0}));
  EXPECT_EQ(shares(8, {0.1}), (Shares{8}));
}

TEST(Shares, AddUpToTheCountWhateverTheWeights) {
  const double most = std::numeric_limits<double>::max(),
               least = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(shares(9, {most, most, most}), (Shares{3, 3, 3}));
  EXPECT_EQ(shares(4, {least, least}), (Shares{2, 2}));
  EXPECT_EQ(shares(4, {most, least}), (Shares{4, 0}));
  for (int64_t count = 1; count < 200; ++count) {
    const Shares all = shares(count, {0.1, 0.7, 1.0 / 3, 12.34});
    EXPECT_EQ(std::accumulate(all.begin(), all.end(), int64_t{0}), count);
  }
}

}  // namespace
}  // namespace halftone
