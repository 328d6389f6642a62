#include "text/white_space.h"

#include <gtest/gtest.h>

namespace halftone {
namespace {

TEST(WhiteSpace, IsWhatPythonStrips) {
  EXPECT_EQ(stripped("  a b \n"), "a b");
  EXPECT_EQ(stripped("\x1c\t\u00a0\u2003\u3000x\u2028\x1f"), "x");
  EXPECT_EQ(stripped(" \n\u00a0 "), "");
  EXPECT_EQ(stripped("\u200bx\ufeff"), "\u200bx\ufeff");  // no white space: widthless
  EXPECT_EQ(without_trailing_space("  a \u0085"), "  a");
  EXPECT_EQ(without_trailing_space(""), "");
}

}  // namespace
}  // namespace halftone
