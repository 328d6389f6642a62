#include <gtest/gtest.h>

#include "cli/console_progress.h"

namespace halftone {
namespace {

TEST(ProgressLine, ShowsStepPlaceAndTimeLeft) {
  EXPECT_EQ(progress_line("quantize", 25, 100, "layers.3.up", 20, 0),
            "quantize 25/100, 1 min 0 s left, layers.3.up");
  EXPECT_EQ(progress_line("quantize", 50, 100, "x", 3, 10),
            "quantize [#####-----] 50/100, 3 s left, x");
}

TEST(ProgressLine, ClaimsNoTimeWhereNoneIsKnown) {
  EXPECT_EQ(progress_line("load", 0, 10, "", 5, 4), "load [----] 0/10");
  EXPECT_EQ(progress_line("load", 10, 10, "", 5, 4), "load [####] 10/10");
  EXPECT_EQ(progress_line("load", 3, 0, "", 5, 4), "load [----] 3/0");
  EXPECT_EQ(progress_line("load", 12, 10, "", 5, 4), "load [####] 12/10");
}

TEST(ProgressLine, TimeLeftGoesByTheWorkOfThisRun) {
  EXPECT_EQ(seconds_at_this_rate(20, 50, 0), 20);
  // 10 of 50 were done in these 20 s, the rest before
  EXPECT_EQ(progress_line("quantize", 50, 100, "", seconds_at_this_rate(20, 50, 40), 0),
            "quantize 50/100, 1 min 40 s left");
  EXPECT_EQ(progress_line("quantize", 40, 100, "", seconds_at_this_rate(3, 40, 40), 0),
            "quantize 40/100");
}

TEST(ProgressLine, EscapesControlCharacters) {
  EXPECT_EQ(progress_line("s", 0, 1, "a\x1b[2J", 0, 0), "s 0/1, a\\x1b[2J");
}

}  // namespace
}  // namespace halftone
