#include "checkpoint/strict_json.h"

#include "checkpoint/checkpoint.h"
#include "checkpoint/hostile_files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::TemporaryFolder;
using testing::write_bytes;

TEST(StrictJson, BuildsTheSameTreeAsTheLibrary) {
  for (const char* text :
       {"null", "true", "-3", "18446744073709551615", "1.5e-3", R"("a\u00e9\n")", "[]", "{}",
        R"({"a":[1,{"b":[],"c":{}},[[2],3]],"":null,"z":{"a":{"a":false}}})", " [ 1 , 2 ]\n"})
    EXPECT_EQ(parse_strict_json(text), nlohmann::json::parse(text)) << text;
}

TEST(StrictJson, SameKeyInDifferentObjectsIsFine) {
  EXPECT_NO_THROW(parse_strict_json(R"([{"a":1},{"a":{"a":2}}])"));
}

TEST(StrictJson, RejectsKeysThatOnlyLookDifferent) {
  EXPECT_CONTAINS(error_of([] { parse_strict_json(R"({"a":1,"\u0061":2})"); }),
                  R"(key "a" appears twice)");
}

TEST(StrictJson, RejectsWhatIsNotJson) {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[1,]"), std::string("{\"a\":1}x"),
        std::string("[1]\0", 4), std::string("\0[1]", 4), std::string("\xef\xbb\xbf[1]"),
        std::string("[01]"), std::string("[NaN]"), std::string("[1e999]"), std::string("'a'"),
        std::string("[1] // x"), std::string("\"\xff\""), std::string("\"\\ud800\"")})
    EXPECT_CONTAINS(error_of([&] { parse_strict_json(text); }), "not valid JSON at byte");
}

TEST(StrictJson, NestingEndsAtTheLimit) {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  EXPECT_NO_THROW(parse_strict_json(nested(kMaxJsonDepth)));
  EXPECT_CONTAINS(error_of([&] { parse_strict_json(nested(kMaxJsonDepth + 1)); }),
                  "nested deeper than 64");
}

TEST(StrictJson, FileErrorNamesFileAndLine) {
  const TemporaryFolder folder;
  write_bytes(folder / "c.json", "{\n \"a\": 1,\n \"b\": }\n");
  const auto message = error_of([&] { read_json(folder / "c.json"); });
  EXPECT_CONTAINS(message, "c.json: not valid JSON at byte 18: parse error at line 3, column 7");
  error_of([&] { read_json(folder / "none.json"); });
}

}  // namespace
}  // namespace halftone
