#include "evaluate/token_request.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using Ids = std::vector<TokenId>;

// A token a byte, and one for " a"; may put tokens around.
class Bytes final : public Tokenizer {
 public:
  explicit Bytes(Ids before = {}, Ids after = {})
      : before_(std::move(before)), after_(std::move(after)) {}
  Ids encode(std::string_view text, bool special) const override {
    Ids ids = special ? before_ : Ids();
    if (text.starts_with("<s>")) {
      ids.push_back(kBegin);
      text.remove_prefix(3);
    }
    for (; !text.empty(); text.remove_prefix(ids.back() == kMerged ? 2 : 1))
      ids.push_back(text.starts_with(" a") ? kMerged : static_cast<unsigned char>(text.front()));
    if (special) ids.insert(ids.end(), after_.begin(), after_.end());
    return ids;
  }
  std::string decode(std::span<const TokenId>, bool) const override { return ""; }
  std::string piece(TokenId id) const override { return id == kBegin ? "<s>" : "?"; }
  int64_t vocabulary_size() const override { return 302; }
  std::string description() const override { return "bytes"; }

  static constexpr TokenId kMerged = 300, kBegin = 301;

 private:
  Ids before_, after_;
};

TEST(RequestEncoder, CutsWhereTheContextAloneEnds) {
  const Bytes tokenizer;
  const RequestEncoder encoder(tokenizer, 302);
  const TokenRequest request = encoder.encode("xy:", " a!");
  EXPECT_EQ(request.context, (Ids{'x', 'y', ':'}));
  EXPECT_EQ(request.continuation, (Ids{Bytes::kMerged, '!'}));
}

TEST(RequestEncoder, MovesWhiteSpaceFromTheContextToTheContinuation) {
  const Bytes tokenizer;
  const RequestEncoder encoder(tokenizer, 302);
  const TokenRequest request = encoder.encode("x \n ", "a");
  EXPECT_EQ(request.context, Ids{'x'});
  EXPECT_EQ(request.continuation, (Ids{' ', '\n', Bytes::kMerged}));
}

TEST(RequestEncoder, TakesTheTokenizersOwnBeginningOnce) {
  const Bytes tokenizer({Bytes::kBegin});
  const RequestEncoder encoder(tokenizer, 302);
  EXPECT_EQ(encoder.encode("x", "y").context, (Ids{Bytes::kBegin, 'x'}));
  EXPECT_EQ(encoder.encode("<s>x", "y").context, (Ids{Bytes::kBegin, 'x'}));
  EXPECT_EQ(encoder.encode("", " a").context, Ids{Bytes::kBegin});
  EXPECT_EQ(encoder.encode("", " a").continuation, Ids{Bytes::kMerged});
  EXPECT_EQ(encoder.encode("  ", "x").context, Ids{Bytes::kBegin});
}

TEST(RequestEncoder, RefusesWhatCannotBeScored) {
  const Bytes plain, ending({}, {7});
  const RequestEncoder encoder(plain, 302), small(plain, 100);
  EXPECT_NE(message_of([&] { encoder.encode("", "x"); }).find("no token in front"),
            std::string::npos);
  EXPECT_NE(message_of([&] { encoder.encode(" ", "x"); }).find("white space alone"),
            std::string::npos);
  EXPECT_EQ(message_of([&] { encoder.encode("x", ""); }),
            "choice \"\": expected tokens behind the context, found none");
  EXPECT_NE(message_of([&] { small.encode("x", "y"); }).find("none of the model's 100"),
            std::string::npos);
}

TEST(CutTo, KeepsTheEndOfTheContext) {
  const TokenRequest request{{1, 2, 3, 4}, {5, 6}};
  TokenRequest cut = request;
  EXPECT_FALSE(cut_to(cut, 5));  // the last token is only predicted
  EXPECT_EQ(cut.context, request.context);
  EXPECT_TRUE(cut_to(cut, 3));
  EXPECT_EQ(cut.context, (Ids{3, 4}));
  EXPECT_EQ(cut.continuation, request.continuation);
  EXPECT_TRUE(cut_to(cut, 2));
  EXPECT_EQ(cut.context, Ids{4});
  EXPECT_NE(message_of([&] { cut_to(cut, 1); }).find("context of 1 tokens, found 2"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
