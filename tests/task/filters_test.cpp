#include "task/filters.h"

#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(Filters, CapitalizeAsPythonDoes) {
  const Filter filter = make_filter("capitalize");
  EXPECT_EQ(filter("the Man in BLACK"), "The man in black");
  EXPECT_EQ(filter("'Quoted WORD"), "'quoted word");
  EXPECT_EQ(filter("\u00dftrasse \u01c6"), "Sstrasse \u01c6");
  EXPECT_EQ(filter("\u01c4x"), "\u01c5x");  // a title letter of its own
  EXPECT_EQ(filter("\u0130X"), "\u0130x");  // whose small form is two letters
  EXPECT_EQ(filter("A\u03a3 \u03a3\u03a3"), "A\u03c2 \u03c3\u03c2");  // a sigma that ends a word
  EXPECT_EQ(filter(""), "");
}

TEST(Filters, BeforeAndAfterCutAtTheFirstMark) {
  EXPECT_EQ(make_filter("before _")("so _ got _ it"), "so ");
  EXPECT_EQ(make_filter("after _")("so _ got _ it"), " got _ it");
  EXPECT_EQ(make_filter("after got _")("so _ got _ it"), " it");
}

TEST(Filters, HellaswagCleansUpTheMarkersOfWikiHow) {
  const Filter filter = make_filter("hellaswag");
  EXPECT_EQ(filter(" [header] How [title] Get.  [step] Fill. "), " How. Get.  Fill.");
  EXPECT_EQ(filter("a]b [c]d[e] f"), "a]b d f");
  EXPECT_EQ(filter("[[nested] brackets]"), " brackets]");
  EXPECT_EQ(filter("not [over\nlines] but [x]"), "not [over\nlines] but ");
  EXPECT_EQ(filter("three   spaces"), "three  spaces");  // one pass
}

}  // namespace
}  // namespace halftone
