// Which windows of several texts a run on the demo model learns from.
#include "pipeline/calibration_texts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>
#include <set>

#include "checkpoint/gguf_file.h"
#include "pipeline/demo_request.h"
#include "pipeline/imatrix.h"
#include "pipeline/interrupted_run.h"
#include "pipeline/quantize_job.h"
#include "recipe/held_out.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::example;
using ::halftone::testing::interrupt;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

constexpr int64_t kLength = 32;
constexpr TokenId kIdsOfAText = 100;

// A text of ids that are its own, as many as `count`.
fs::path text_of_ids(const TemporaryFolder& folder, TokenId text, size_t count) {
  std::vector<TokenId> ids(count);
  for (size_t i = 0; i < count; ++i)
    ids[i] = kIdsOfAText * text + static_cast<TokenId>(i % kIdsOfAText);
  fs::path path = folder / fmt::format("{}.tokens", text);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(ids.data()),
             static_cast<std::streamsize>(count * sizeof(TokenId)));
  return path;
}

QuantizeRequest mixed_request(const TemporaryFolder& folder, const std::vector<double>& weights,
                              int64_t sequences) {
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.calibration.clear();
  for (size_t i = 0; i < weights.size(); ++i)
    request.calibration.push_back(
        {.file = text_of_ids(folder, static_cast<TokenId>(i), 4000), .weight = weights[i]});
  request.sequences = sequences;
  request.length = kLength;
  return request;
}

// The text of each window, told by its ids; -1: of more than one.
std::vector<int64_t> texts_in(const std::vector<TokenId>& ids, int64_t length) {
  std::vector<int64_t> texts;
  for (auto at = ids.begin(); at != ids.end(); at += length) {
    const int64_t text = *at / kIdsOfAText;
    const bool one =
        std::all_of(at, at + length, [&](TokenId id) { return id / kIdsOfAText == text; });
    texts.push_back(one ? text : -1);
  }
  return texts;
}

std::vector<TokenId> ids_of(const QuantizeJob& job) {
  const at::Tensor ids = job.calibration_inputs().items.contiguous();
  const auto* first = ids.const_data_ptr<int32_t>();
  return {first, first + ids.numel()};
}

template <class Texts>
int64_t count_of(const Texts& texts, int64_t text) {
  return std::count(texts.begin(), texts.end(), text);
}

TEST(CalibrationTexts, ShareTheWindowsByWeightAndNoneIsOfTwo) {
  const TemporaryFolder folder;
  const QuantizeJob job(mixed_request(folder, {3, 1, 0.5}, 36));
  const auto texts = texts_in(ids_of(job), kLength);
  EXPECT_EQ(count_of(texts, 0), 24);
  EXPECT_EQ(count_of(texts, 1), 8);
  EXPECT_EQ(count_of(texts, 2), 4);
  EXPECT_EQ(count_of(texts, -1), 0);
}

TEST(CalibrationTexts, AreEachDrawnFromByTheSeedAsAloneAndInThatOrder) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {3, 1}, 16);
  request.seed = 5;
  const std::vector<TokenId> all = ids_of(QuantizeJob(request));
  const auto texts = texts_in(all, kLength);
  for (size_t text = 0; text < 2; ++text) {
    QuantizeRequest alone = request;
    alone.calibration = {request.calibration[text]};
    alone.sequences = count_of(texts, static_cast<int64_t>(text));
    std::vector<TokenId> own;
    for (size_t window = 0; window < texts.size(); ++window)
      if (texts[window] == static_cast<int64_t>(text))
        own.insert(own.end(), all.begin() + static_cast<ptrdiff_t>(window * kLength),
                   all.begin() + static_cast<ptrdiff_t>((window + 1) * kLength));
    EXPECT_EQ(own, ids_of(QuantizeJob(alone)));
  }
}

TEST(CalibrationTexts, OfOneTextAreWhatItIsWithoutAWeight) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "plain", "gptq", 3);
  run(request);
  request.calibration.front().weight = 7;
  request.out = folder / "weighed";
  run(request);
  EXPECT_EQ(contents(folder / "plain"), contents(folder / "weighed"));
  const json calibration =
      json::parse(contents(folder / "plain").at("halftone.json")).at("calibration");
  EXPECT_EQ(calibration.at("text"), "tinystories-calibration.txt");
  EXPECT_FALSE(calibration.contains("texts"));
  EXPECT_FALSE(calibration.contains("weight"));
  const Corpus corpus =
      read_corpus_for(OpenedModel(request.model), request.calibration.front().file);
  EXPECT_EQ(ids_of(QuantizeJob([&] {
              request.out = folder / "elsewhere";
              return request;
            }())),
            random_windows(corpus, request.sequences, request.length, request.seed).ids);
}

TEST(CalibrationTexts, AreMixedAmongTheHeldOutOnesAsAmongTheOthers) {
  for (const std::vector<int64_t>& shares :
       {std::vector<int64_t>{96, 32}, {64, 64}, {102, 26}, {30, 6, 4}, {36, 4}, {1, 1}, {9, 1}}) {
    const std::vector<size_t> order = mixed_order(shares);
    const auto count = static_cast<int64_t>(order.size());
    const int64_t held_out = held_out_for_target(count);
    for (size_t text = 0; text < shares.size(); ++text) {
      EXPECT_EQ(count_of(order, static_cast<int64_t>(text)), shares[text]);
      const double share = static_cast<double>(shares[text]) / static_cast<double>(count);
      int64_t of_target = 0, of_gate = 0, gate = 0;
      for (int64_t window = 0; window < count; ++window) {
        const bool own = order[static_cast<size_t>(window)] == text;
        if (window >= count - held_out) of_target += own ? 1 : 0;
        if (!is_held_out_for_gate(window)) continue;
        ++gate;
        of_gate += own ? 1 : 0;
      }
      EXPECT_NEAR(static_cast<double>(of_target), share * static_cast<double>(held_out), 1.01);
      EXPECT_NEAR(static_cast<double>(of_gate), share * static_cast<double>(gate), 2.01);
      if (shares[text] > 1 && held_out >= static_cast<int64_t>(shares.size())) {
        EXPECT_GE(of_target, 1) << text << " of " << shares.size();
      }
    }
  }
}

TEST(CalibrationTexts, LieAmongEachOtherFromTheFirstWindowToTheLast) {
  const std::vector<size_t> order = mixed_order({96, 32});
  for (size_t first = 0; first + 16 <= order.size(); first += 16) {
    const auto at = order.begin() + static_cast<ptrdiff_t>(first);
    const auto second = std::count(at, at + 16, size_t{1});
    EXPECT_GE(second, 2) << first;
    EXPECT_LE(second, 6) << first;
  }
}

TEST(CalibrationTexts, KeepWindowsOfEachApart) {
  const TemporaryFolder folder;
  const QuantizeJob job(mixed_request(folder, {9, 1}, 40));
  const auto apart = job.texts()->windows_apart(4, 16);
  ASSERT_EQ(apart.windows.count, 4);
  EXPECT_EQ(texts_in(apart.windows.ids, 16), (std::vector<int64_t>{0, 0, 0, 1}));
  EXPECT_EQ(apart.texts,
            (std::vector<std::string>{"0.tokens", "0.tokens", "0.tokens", "1.tokens"}));
}

TEST(CalibrationTexts, KeepNoTokenApartThatWasDrawn) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {1, 1}, 4);
  for (size_t text = 0; text < 2; ++text) {  // every id once
    std::vector<TokenId> ids(250);
    std::iota(ids.begin(), ids.end(), static_cast<TokenId>(250 * text));
    std::ofstream(request.calibration[text].file, std::ios::binary)
        .write(reinterpret_cast<const char*>(ids.data()),
               static_cast<std::streamsize>(ids.size() * sizeof(TokenId)));
  }
  const QuantizeJob job(request);
  const std::vector<TokenId> drawn = ids_of(job);
  const std::set<TokenId> learned(drawn.begin(), drawn.end());
  const auto apart = job.texts()->windows_apart(4, 16);
  EXPECT_EQ(apart.windows.count, 4);
  for (const TokenId id : apart.windows.ids) EXPECT_FALSE(learned.contains(id)) << id;
}

TEST(CalibrationTexts, WithoutAWindowOrWithTheSameTokensAreRefused) {
  const TemporaryFolder folder;
  const auto refusal = [&](const QuantizeRequest& request) {
    return message_of([&] { run(request); });
  };
  QuantizeRequest request = mixed_request(folder, {100, 1}, 8);
  EXPECT_NE(refusal(request).find("1.tokens: its weight 1 comes to none of 8 windows"),
            std::string::npos)
      << refusal(request);
  request = mixed_request(folder, {1, 1}, 8);
  fs::copy_file(folder / "0.tokens", folder / "again.tokens");
  request.calibration[1].file = folder / "again.tokens";
  EXPECT_NE(refusal(request).find("again.tokens: the same tokens as in"), std::string::npos)
      << refusal(request);
  request = mixed_request(folder, {1, 1}, 4000);
  EXPECT_NE(refusal(request).find("0.tokens: 2000 windows of 32 tokens are wanted"),
            std::string::npos)
      << refusal(request);
  request = mixed_request(folder, {1, -1}, 8);
  EXPECT_NE(refusal(request).find("1.tokens: expected a positive weight, found -1"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(CalibrationTexts, OfImagesAreOnePlace) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.model = testing::test_data("forward/vision/deit_teacher");
  request.calibration = {{.file = folder / "a"}, {.file = folder / "b"}};
  request.length = 0;
  const std::string message = message_of([&] { run(request); });
  EXPECT_NE(message.find("reads images, of which it takes one file or folder, found 2"),
            std::string::npos)
      << message;
}

TEST(CalibrationTexts, AreAllInputsOfTheRun) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {1, 1}, 8);
  request.calibration.push_back({});  // the program's own is no file
  const std::vector<fs::path> inputs = inputs_of(request);
  for (size_t text = 0; text < 2; ++text)
    EXPECT_EQ(std::count(inputs.begin(), inputs.end(), request.calibration[text].file), 1);
  EXPECT_EQ(std::count(inputs.begin(), inputs.end(), fs::path()), 0);
}

TEST(CalibrationTexts, StandInTheReportWithHashWeightAndWindows) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {3, 1}, 16);
  request.calibration[1].file.clear();  // the program's own
  const json calibration = run(request).at("calibration");
  EXPECT_FALSE(calibration.contains("text"));
  EXPECT_EQ(calibration.at("sequences"), 16);
  const json& texts = calibration.at("texts");
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[0].at("text"), "0.tokens");
  EXPECT_EQ(texts[0].at("weight"), 3);
  EXPECT_EQ(texts[0].at("sequences"), 12);
  EXPECT_EQ(texts[0].at("tokenizer"), "token ids");
  EXPECT_EQ(texts[1].at("text"), "builtin");
  EXPECT_EQ(texts[1].at("sequences"), 4);
  EXPECT_EQ(texts[1].at("bos"), true);
  EXPECT_NE(texts[0].at("ids_sha256"), texts[1].at("ids_sha256"));
}

TEST(CalibrationTexts, OfAnotherMixtureDoNotGoOn) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {3, 1}, 16);
  interrupt(request, 17);
  request.resume = true;
  const auto refusal = [&](auto&& change) {
    QuantizeRequest other = request;
    change(other);
    return message_of([&] { run(other); });
  };
  const auto expect = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect(refusal([](auto& other) { other.calibration[1].weight = 2; }),
         "calibration/texts/0/sequences: then 12, now 10");
  expect(refusal([](auto& other) { other.calibration[0].weight = 2.99; }),
         "calibration/texts/0/weight: then 3.0, now 2.99");
  expect(
      refusal([](auto& other) { std::swap(other.calibration[0].file, other.calibration[1].file); }),
      "calibration/texts/0/ids_sha256: then ");
  expect(refusal([](auto& other) { other.calibration.pop_back(); }), "calibration/");
  fs::rename(request.calibration[1].file, folder / "moved.tokens");
  request.calibration[1].file = folder / "moved.tokens";
  EXPECT_EQ(run(request).at("resumed_linears"), 14);
}

TEST(CalibrationTexts, AreListedInAnImatrix) {
  const TemporaryFolder folder;
  QuantizeRequest request = mixed_request(folder, {1, 1}, 4);
  request.out = folder / "i.gguf";
  SilentProgress progress;
  EXPECT_EQ(write_imatrix(request, progress)["tokens"], 4 * kLength);
  const GgufFile file(folder / "i.gguf");
  const auto datasets = file.metadata().texts("imatrix.datasets");
  ASSERT_EQ(datasets->size(), 2U);
  EXPECT_EQ((*datasets)[0], "0.tokens");
  EXPECT_EQ((*datasets)[1], "1.tokens");
}

}  // namespace
}  // namespace halftone
