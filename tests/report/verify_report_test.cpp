#include "report/verify_report.h"

#include <gtest/gtest.h>

namespace halftone {
namespace {

using nlohmann::json;

json verification(bool holds) {
  return {{"files", {{{"name", "a.bin"}, {"bytes", 2048}, {"sha256", "0f"}}}},
          {"checks",
           {{{"name", "opens"}, {"holds", true}, {"found", "Llama, gptq"}},
            {{"name", "reads back"}, {"holds", holds}, {"found", "x: changed"}}}}};
}

TEST(VerifyText, ListsFilesAndChecks) {
  EXPECT_EQ(verify_text(verification(false)),
            "a.bin  2.0 KiB  0f\n"
            "\n"
            "opens       ok      Llama, gptq\n"
            "reads back  FAILED  x: changed\n");
}

TEST(VerifyText, NamesTheFirstCheckThatDoesNotHold) {
  EXPECT_EQ(first_failure(verification(false)), "reads back: x: changed");
  EXPECT_EQ(first_failure(verification(true)), "");
}

}  // namespace
}  // namespace halftone
