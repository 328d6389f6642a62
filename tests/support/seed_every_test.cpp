// Every test draws the same random numbers, alone or among others: torch seeds itself by chance.
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace {

class SeedEveryTest : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& /*test*/) override { at::manual_seed(0); }
};

[[maybe_unused]] const bool kListening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new SeedEveryTest);
  return true;
}();

}  // namespace
