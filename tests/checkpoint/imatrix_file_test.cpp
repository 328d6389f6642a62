// Files of importances: both forms, and what is none.
#include "checkpoint/imatrix_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/files.h"
#include "checkpoint/gguf_bytes.h"
#include "checkpoint/gguf_writer.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using testing::le;
using testing::message_of;
using testing::TemporaryFolder;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Entry {
  std::string name;
  std::vector<float> numbers;
};

fs::path write_gguf(const fs::path& path, const std::vector<Entry>& entries) {
  GgufPlan plan;
  plan.metadata = {{"general.type", gguf_value("imatrix")}};
  for (const Entry& entry : entries)
    plan.tensors.push_back(
        {entry.name, {1, static_cast<int64_t>(entry.numbers.size())}, find_gguf_type("F32")});
  GgufWriter writer(path, plan);
  for (const Entry& entry : entries)
    writer.write(entry.name, std::as_bytes(std::span(entry.numbers)));
  writer.finish();
  return path;
}

std::string old_entry(const std::string& name, int32_t calls, const std::vector<float>& numbers) {
  std::string bytes = le<int32_t>(static_cast<int32_t>(name.size())) + name + le(calls) +
                      le<int32_t>(static_cast<int32_t>(numbers.size()));
  for (const float number : numbers) bytes += le(number);
  return bytes;
}

std::vector<float> values(const ImatrixFile& file, const std::string& name, int64_t in,
                          int64_t matrix = 0) {
  const at::Tensor means = file.mean_squares(name, in, matrix).contiguous();
  return {means.const_data_ptr<float>(), means.const_data_ptr<float>() + means.numel()};
}

class Imatrices : public ::testing::Test {
 protected:
  std::string refusal(const std::vector<Entry>& entries) const {
    const fs::path path = write_gguf(folder_ / "i.gguf", entries);
    return message_of([&] { ImatrixFile{path}; });
  }
  std::string refusal_of_old(const std::string& bytes) const {
    write_file_atomically(folder_ / "i.dat", bytes);
    return message_of([&] { ImatrixFile{folder_ / "i.dat"}; });
  }
  const TemporaryFolder folder_;
};

TEST_F(Imatrices, AreSumsOverCounts) {
  const ImatrixFile file(write_gguf(folder_ / "i.gguf", {{"a.weight.in_sum2", {2, 4, 0}},
                                                         {"a.weight.counts", {4}},
                                                         {"b.weight.in_sum2", {1, 2, 3, 4}},
                                                         {"b.weight.counts", {2, 0}}}));
  EXPECT_TRUE(file.contains("a.weight"));
  EXPECT_FALSE(file.contains("a"));
  EXPECT_EQ(values(file, "a.weight", 3), (std::vector<float>{0.5, 1, 0}));
  EXPECT_EQ(values(file, "b.weight", 2), (std::vector<float>{0.5, 1}));
  EXPECT_EQ(values(file, "b.weight", 2, 1), (std::vector<float>{1, 1}));  // no token came
  EXPECT_EQ(file.sha256().size(), 64U);
}

TEST_F(Imatrices, OfTheOldFormAreSumsOfMeans) {
  const std::string bytes = le<int32_t>(2) + old_entry("a.weight", 4, {2, 4}) +
                            old_entry("b.weight", 1, {3}) + le<int32_t>(7) + le<int32_t>(1) + "t";
  write_file_atomically(folder_ / "i.dat", bytes);
  const ImatrixFile file(folder_ / "i.dat");
  EXPECT_EQ(values(file, "a.weight", 2), (std::vector<float>{0.5, 1}));
  EXPECT_EQ(values(file, "b.weight", 1), (std::vector<float>{3}));
}

TEST_F(Imatrices, OfAnotherModelAreToldApart) {
  const ImatrixFile file(
      write_gguf(folder_ / "i.gguf", {{"a.weight.in_sum2", {2, 4}}, {"a.weight.counts", {1}}}));
  EXPECT_NE(message_of([&] {
              (void)file.mean_squares("c.weight", 2);
            }).find("i.gguf: nothing for c.weight (an importance matrix of another model?)"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              (void)file.mean_squares("a.weight", 3);
            }).find("a.weight: expected 3 values, found 2"),
            std::string::npos);
  EXPECT_NE(message_of([&] { (void)file.mean_squares("a.weight", 2, 1); }), "");
}

TEST_F(Imatrices, ThatAreHostileAreRefusedInOneLine) {
  EXPECT_NE(refusal({{"token_embd.weight", {1}}}).find("found none"), std::string::npos);
  EXPECT_NE(refusal({{"a.in_sum2", {1}}}).find("no .counts beside it"), std::string::npos);
  EXPECT_NE(refusal({{"a.in_sum2", {1, 2, 3}}, {"a.counts", {1, 1}}}).find("each of 2 counts"),
            std::string::npos);
  for (const float wrong : {-1.0F, kNan, std::numeric_limits<float>::infinity()}) {
    EXPECT_NE(refusal({{"a.in_sum2", {1, wrong}}, {"a.counts", {1}}}).find("not finite"),
              std::string::npos);
    EXPECT_NE(refusal({{"a.in_sum2", {1, 2}}, {"a.counts", {wrong}}}).find("not finite"),
              std::string::npos);
  }
  EXPECT_NE(refusal({{"a.in_sum2", {3e38F}}, {"a.counts", {1e-10F}}}).find("a mean is not finite"),
            std::string::npos);
}

TEST_F(Imatrices, OfTheOldFormAreRefusedAtEveryLength) {
  const std::string whole = le<int32_t>(1) + old_entry("a.weight", 4, {2, 4});
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(refusal_of_old(whole.substr(0, length)), "") << length;
  write_file_atomically(folder_ / "i.dat", whole);
  EXPECT_NO_THROW(ImatrixFile{folder_ / "i.dat"});
  EXPECT_NE(refusal_of_old("Once upon a time").find("no importance matrix?"), std::string::npos);
  EXPECT_NE(refusal_of_old(le<int32_t>(1) + old_entry("a", -1, {1})), "");
  EXPECT_NE(refusal_of_old(le<int32_t>(2) + old_entry("a", 1, {1}) + old_entry("a", 1, {1}))
                .find("found twice"),
            std::string::npos);
  const std::string many = le<int32_t>(1) + le<int32_t>(1) + "a" + le<int32_t>(1);
  EXPECT_NE(refusal_of_old(many + le(std::numeric_limits<int32_t>::max())).find("bytes more"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
