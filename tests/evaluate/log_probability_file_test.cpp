#include "evaluate/log_probability_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "evaluate/logits.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using ::halftone::testing::message_of;
using ::halftone::testing::shared_data;
using ::halftone::testing::TemporaryFolder;

constexpr int64_t kVocab = 7, kLength = 6, kCount = 2, kScored = 2;

TokenWindows some_windows() {
  TokenWindows windows{kCount, kLength, std::vector<TokenId>(kCount * kLength), kLength / 2};
  for (size_t i = 0; i < windows.ids.size(); ++i) windows.ids[i] = static_cast<TokenId>(i % kVocab);
  return windows;
}

at::Tensor some_logits() {
  return at::randn({kCount * kScored, kVocab}) * 3;
}

void write(const std::filesystem::path& path, const at::Tensor& logits) {
  LogProbabilityWriter writer(path, some_windows(), kVocab);
  for (const at::Tensor& part : logits.split(3)) writer.append(part);
  writer.commit();
}

TEST(LogProbabilityFile, GivesBackWhatWasWrittenIn16Bits) {
  const TemporaryFolder folder;
  const at::Tensor logits = some_logits();
  write(folder / "base", logits);
  const LogProbabilityFile file(folder / "base");
  EXPECT_EQ(file.vocab(), kVocab);
  EXPECT_EQ(file.windows(0).ids, some_windows().ids);
  EXPECT_EQ(file.windows(0).first_scored, kLength / 2);
  EXPECT_EQ(file.windows(1).count, 1);
  const at::Tensor expected = at::log_softmax(logits, 1);
  for (int64_t window = 0; window < kCount; ++window) {
    const at::Tensor rows = file.rows(window, kLength / 2, kScored);
    // a range of at most 16 nats in 65535 steps
    EXPECT_LT((rows - expected.narrow(0, window * kScored, kScored)).abs().max().item<float>(),
              16.0 / 65535);
  }
  EXPECT_TRUE(at::equal(file.rows(1, 4, 1)[0], file.rows(1, 3, 2)[1]));
}

TEST(LogProbabilityFile, WhatIsFarBelowTheLikeliestTokenIsRaisedTo16NatsBelow) {
  const TemporaryFolder folder;
  at::Tensor logits = some_logits().clamp(-2, 2);
  logits.select(1, 3).fill_(-100);
  write(folder / "base", logits);
  const at::Tensor rows = LogProbabilityFile(folder / "base").rows(0, 3, 1);
  EXPECT_NEAR((rows.max() - rows[0][3]).item<float>(), 16, 1e-4);
}

TEST(LogProbabilityFile, EqualLogitsHaveNoRange) {
  const TemporaryFolder folder;
  write(folder / "base", at::zeros({kCount * kScored, kVocab}));
  const at::Tensor rows = LogProbabilityFile(folder / "base").rows(1, 3, 2);
  EXPECT_LT((rows + std::log(double{kVocab})).abs().max().item<float>(), 1e-6);
}

TEST(LogProbabilityFile, NothingAppearsBeforeCommitAndNothingIsReplaced) {
  const TemporaryFolder folder;
  LogProbabilityWriter(folder / "base", some_windows(), kVocab).append(some_logits());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  write(folder / "base", some_logits());
  EXPECT_NE(message_of([&] { write(folder / "base", some_logits()); }).find("exists"),
            std::string::npos);
}

TEST(LogProbabilityFile, OtherOrDamagedFilesAreErrorsThatSayWhatWasExpected) {
  const TemporaryFolder folder;
  write(folder / "whole", some_logits());
  const std::string whole = read_file(folder / "whole");
  const auto error_of = [&](std::string bytes) {
    write_file_atomically(folder / "base", bytes);
    return message_of([&] { LogProbabilityFile file(folder / "base"); });
  };
  const auto with = [&](size_t at, int32_t number) {
    std::string bytes = whole;
    std::memcpy(bytes.data() + at, &number, sizeof(number));
    return bytes;
  };
  EXPECT_NE(error_of("GGUF and more").find("which begins with _logits_"), std::string::npos);
  EXPECT_NE(error_of(whole.substr(0, 15)).find("hold no header"), std::string::npos);
  EXPECT_NE(error_of(whole.substr(0, whole.size() - 1)).find("cut short?"), std::string::npos);
  EXPECT_NE(error_of(whole + "more").find("cut short?"), std::string::npos);
  EXPECT_NE(error_of(with(8, 4)).find("not possible"), std::string::npos);
  EXPECT_NE(error_of(with(12, -1)).find("not possible"), std::string::npos);
  EXPECT_NE(error_of(with(16, 0)).find("not possible"), std::string::npos);
  for (const size_t size : {8, 12, 16})
    EXPECT_NE(error_of(with(size, INT32_MAX)).find("cut short?"), std::string::npos);
  EXPECT_NE(error_of(with(20 + 4, 7)).find("token 1 is 7, outside its vocabulary of 7"),
            std::string::npos);
}

TEST(LogProbabilityFile, ARowThatIsNoNumberIsAnErrorThatSaysWhere) {
  const TemporaryFolder folder;
  write(folder / "whole", some_logits());
  std::string bytes = read_file(folder / "whole");
  const size_t second_row =
      20 + 4 * kCount * kLength + 8 + 2 * 8;  // behind the first: 7 codes and one more
  const float none = NAN;
  std::memcpy(bytes.data() + second_row, &none, sizeof(none));
  write_file_atomically(folder / "base", bytes);
  const LogProbabilityFile file(folder / "base");
  file.rows(0, 3, 1);
  EXPECT_NE(message_of([&] { file.rows(0, 3, 2); }).find("window 0, position 4: expected finite"),
            std::string::npos);
}

TEST(ScoreAgainstKept, ProbabilitiesOfAtMost16NatsAddNothing) {
  const at::Tensor log_p = at::tensor({-0.5F, -1.0F, -16.5F}).view({1, 3});
  const at::Tensor logits = at::tensor({1.0F, 2.0F, -5.0F}).view({1, 3});
  Scores scores;
  score_against_kept(logits, at::tensor({int64_t{1}}), log_p, scores);
  const at::Tensor log_q = at::log_softmax(logits.to(at::kDouble), 1)[0];
  const auto q = [&](int64_t i) { return log_q[i].item<double>(); };
  EXPECT_NEAR(scores.kl[0], std::exp(-0.5) * (-0.5 - q(0)) + std::exp(-1.0) * (-1.0 - q(1)), 1e-6);
  EXPECT_NEAR(scores.nll[0], -q(1), 1e-6);
  EXPECT_NEAR(scores.reference_nll[0], 1, 1e-6);
  EXPECT_FALSE(scores.same_top[0]);
}

TEST(GoldenLogProbabilityFile, LlamaPerplexitysOwnIsRead) {
  HALFTONE_REQUIRE_SHARED("golden/llama_perplexity/base.bin");
  const LogProbabilityFile file(shared_data("golden/llama_perplexity/base.bin"));
  const TokenWindows windows = file.windows(0);
  EXPECT_EQ(windows.count, 6);
  EXPECT_EQ(windows.length, 256);
  EXPECT_EQ(file.vocab(), 512);
  double nll = 0;
  for (int64_t window = 0; window < 6; ++window) {
    const at::Tensor rows = file.rows(window, 128, 127);
    for (int64_t i = 0; i < 127; ++i) {
      const auto next = windows.ids[static_cast<size_t>(window * 256 + 128 + i + 1)];
      nll -= rows[i][next].item<double>();
    }
  }
  EXPECT_NEAR(std::exp(nll / (6 * 127)), 5.348114, 1e-5);  // "Mean PPL(base)" of its own output
}

}  // namespace
}  // namespace halftone
