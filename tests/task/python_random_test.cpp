#include "task/python_random.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::shared_data;
using Indices = std::vector<size_t>;

// Python 3.11: r = random.Random(1234); r.sample(range(n), k)
TEST(PythonRandom, DrawsAsPythonDoes) {
  PythonRandom few(1234);  // by rejection
  EXPECT_EQ(few.sample(7473, 5), (Indices{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(few.sample(7473, 5), (Indices{7462, 6610, 4769, 286, 5501}));
  PythonRandom pool(1234);
  EXPECT_EQ(pool.sample(21, 5), (Indices{14, 3, 0, 2, 1}));
  PythonRandom many(1234);
  EXPECT_EQ(many.sample(85, 6), (Indices{56, 14, 0, 11, 74, 4}));   // a pool: 21 + 4^3
  EXPECT_EQ(many.sample(86, 6), (Indices{85, 10, 12, 45, 30, 2}));  // one more: by rejection
  PythonRandom long_run(1234);
  for (int i = 0; i < 300; ++i) long_run.sample(7473, 5);  // past the first 624 words
  EXPECT_EQ(long_run.sample(7473, 5), (Indices{5399, 6467, 5208, 517, 619}));
}

TEST(GoldenPythonRandom, DrawsTheExamplesOfTheHarness) {
  HALFTONE_REQUIRE_SHARED("golden/eval");
  for (const auto& [name, size] :
       {std::pair{"full_train", size_t{7473}}, std::pair{"head200", size_t{200}}}) {
    PythonRandom random(1234);
    std::ifstream file(shared_data(fmt::format("golden/eval/gsm8k_prompts_{}.jsonl", name)));
    for (std::string line; std::getline(file, line);)
      EXPECT_EQ(random.sample(size, 5),
                nlohmann::json::parse(line).at("train_indices").get<Indices>());
  }
}

}  // namespace
}  // namespace halftone
