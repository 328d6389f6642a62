// Bits chosen by measurement, on the demo model: that the size is met, and that what comes of it is
// a run by a plain recipe.
#include "pipeline/allocate_bits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <set>

#include "pipeline/bit_budget.h"
#include "pipeline/demo_request.h"
#include "pipeline/filled_model.h"
#include "pipeline/interrupted_run.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::contents;
using ::halftone::testing::filled_up;
using ::halftone::testing::interrupt;
using ::halftone::testing::message_of;
using ::halftone::testing::request_for;
using ::halftone::testing::resume_run;
using ::halftone::testing::run;
using ::halftone::testing::TemporaryFolder;
using nlohmann::json;

Allocation allocate(const QuantizeRequest& request, const BitTarget& target) {
  SilentProgress progress;
  return allocate_bits(request, target, progress);
}

BitTarget bits(double number) {
  return {.bits = number, .bytes = {}, .kl = {}};
}

BitTarget bytes(double number) {
  return {.bits = {}, .bytes = static_cast<int64_t>(number), .kl = {}};
}

BitTarget kl(double number) {
  return {.bits = {}, .bytes = {}, .kl = number};
}

// Work is a failure.
class NoWork final : public Progress {
 public:
  void begin(std::string_view step, int64_t) override { FAIL() << step; }
  void update(int64_t, std::string_view) override {}
  void end() override {}
};

// Of each linear, by the recipe as it is written.
std::map<std::string, int> widths(const Allocation& allocation, const std::string& part = "") {
  const Recipe recipe = parse_recipe(read_file(*allocation.request.recipe_file), "x");
  std::map<std::string, int> found;
  for (int block = 0; block < 5; ++block)
    for (const char* linear :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
          "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      const std::string name = fmt::format("model.layers.{}.{}", block, linear);
      if (name.find(part) != name.npos) found[name] = recipe.for_linear(name).grid.bits;
    }
  return found;
}

struct SizeCase {
  const char *name, *recipe, *format;
  std::vector<const char*> settings = {};
};

class AllocatedBits : public ::testing::TestWithParam<SizeCase> {};

TEST_P(AllocatedBits, MeetTheTargetByWhatIsStored) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", GetParam().recipe, 4);
  request.format = GetParam().format;
  for (const char* setting : GetParam().settings) apply_setting(request.recipe, setting);
  BitTarget target = bits(0);
  target.sensitivities = folder / "kept.json";
  for (const double wanted : {3.6, 4.3, 5.5}) {
    target.bits = wanted;
    request.out = folder / fmt::format("out{}", wanted);
    const Allocation allocation = allocate(request, target);
    EXPECT_EQ(allocation.measured, wanted == 3.6);
    const json report = run(allocation.request);
    const double stored = report["bits_per_weight"]["quantized"].get<double>();
    EXPECT_LE(stored, wanted);
    EXPECT_GT(stored, wanted - 0.06);
    EXPECT_NEAR(allocation.bits, stored, 1e-9);
    ASSERT_TRUE(allocation.alike);
    EXPECT_LE(allocation.alike->bits, wanted);
    EXPECT_LT(allocation.kl, allocation.alike->kl);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, AllocatedBits,
    ::testing::Values(
        SizeCase{"native", "gptq", "native"}, SizeCase{"rotated", "halftone", "native"},
        SizeCase{"native_symmetric", "gptq", "native", {"grid.symmetric=true"}},
        SizeCase{"rounded", "rtn", "native"},
        SizeCase{"compressed_tensors", "gptq", "compressed-tensors", {"grid.group_size=0"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(AllocateBits, SizesOfAllTensorsAreMetToo) {
  const TemporaryFolder folder;
  for (const char* recipe : {"gptq", "halftone"}) {  // which unties the head
    const double wanted = std::string(recipe) == "gptq" ? 250e3 : 380e3;
    const json report =
        run(allocate(request_for(folder / recipe, recipe, 4), bytes(wanted)).request);
    EXPECT_LE(report["bytes"].get<double>(), wanted) << recipe;
    EXPECT_GT(report["bytes"].get<double>(), 0.98 * wanted) << recipe;
  }
}

// Of two searches for the same choice, neither of which is exhaustive.
constexpr double kClearlyLess = 0.98;

TEST(AllocateBits, OfADivergenceAreTheFewestWithIt) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  BitTarget target = kl(0.1);
  target.sensitivities = folder / "kept.json";
  const Allocation allocation = allocate(request, target);
  EXPECT_LE(allocation.kl, 0.1);
  EXPECT_GT(allocation.kl, 0.095);
  ASSERT_TRUE(allocation.alike);
  EXPECT_LE(allocation.alike->kl, 0.1);
  EXPECT_LT(allocation.bits, allocation.alike->bits);
  EXPECT_NEAR(run(allocation.request)["bits_per_weight"]["quantized"].get<double>(),
              allocation.bits, 1e-9);

  request.out = folder / "same";  // of that size nothing loses clearly less
  target = bits(allocation.bits + 1e-9);
  target.sensitivities = folder / "kept.json";
  EXPECT_GT(allocate(request, target).kl, kClearlyLess * allocation.kl);

  request.out = folder / "none";
  target = kl(1e-6);
  target.sensitivities = folder / "kept.json";
  const std::string refusal = message_of([&] { allocate(request, target); });
  EXPECT_EQ(refusal.rfind("--target-kl 1e-06: the candidates come to an estimated ", 0), 0U)
      << refusal;
  EXPECT_FALSE(fs::exists(folder / "none.recipe.toml"));
}

TEST(AllocateBits, OfAFileChooseTypesThatItsRowsDivideInto) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "bits.gguf", "gptq", 4);
  request.model = filled_up(folder / "model");
  request.format.clear();
  request.head_type = "Q8_0";
  BitTarget target = bits(4);
  target.sensitivities = folder / "kept.json";
  const Allocation allocation = allocate(request, target);
  EXPECT_EQ(allocation.request.format, "gguf");
  EXPECT_TRUE(allocation.shares.contains("Q2_0"));
  EXPECT_TRUE(allocation.shares.contains("IQ4_NL"));
  const json report = run(allocation.request);
  const double stored = report["bits_per_weight"]["quantized"].get<double>();
  EXPECT_LE(stored, 4);
  EXPECT_GT(stored, 3.95);
  EXPECT_NEAR(stored, allocation.bits, 1e-9);

  request.out = folder / "size.gguf";
  target.bits.reset();
  target.bytes = 190000;
  const Allocation by_size = allocate(request, target);
  EXPECT_FALSE(by_size.measured);
  const auto written = run(by_size.request)["bytes"].get<double>();
  EXPECT_LE(written, 190000);
  EXPECT_GT(written, 0.98 * 190000);

  target.candidates = {"Q4_0", "Q4_K"};
  target.sensitivities.clear();
  request.out = folder / "other.gguf";
  for (const auto& [type, share] : allocate(request, target).shares) EXPECT_EQ(type, "Q4_0");
  target.candidates = {"Q4_K", "Q5_K"};
  NoWork nothing;
  EXPECT_NE(message_of([&] {
              allocate_bits(request, target, nothing);
            }).find("q_proj: can have none of the candidates (Q4_K: "),
            std::string::npos);
}

TEST(AllocateBits, TheWrittenRecipeGivesTheSameBytes) {
  const TemporaryFolder folder;
  const Allocation allocation = allocate(request_for(folder / "out", "gptq", 4), bits(4));
  run(allocation.request);
  QuantizeRequest plain = request_for(folder / "plain", "gptq", 4);
  plain.recipe = parse_recipe(read_file(folder / "out.recipe.toml"), "out.recipe");
  EXPECT_EQ(plain.recipe, allocation.request.recipe);
  run(plain);
  EXPECT_EQ(contents(folder / "plain"), contents(folder / "out"));
}

TEST(AllocateBits, AnInterruptedRunGoesOnToTheSameBytes) {
  const TemporaryFolder folder;
  const QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  const Allocation first = allocate(request, bits(4));
  QuantizeRequest whole = first.request;
  whole.out = folder / "whole";
  run(whole);
  interrupt(first.request, 17);
  QuantizeRequest again = request;
  again.resume = true;
  NoWork nothing;
  resume_run(allocate_bits(again, bits(4), nothing).request, 21);
  EXPECT_EQ(contents(folder / "out"), contents(folder / "whole"));
  EXPECT_EQ(allocate_bits(again, bits(4), nothing).bits, first.bits);  // of a finished output
}

TEST(AllocateBits, WhatEnginesFuseGetsOneWidth) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  apply_setting(request.recipe, "grid.group_size=0");
  request.format = "compressed-tensors";
  const std::map<std::string, int> tied = widths(allocate(request, bits(4)));
  std::set<int> different;
  for (int block = 0; block < 5; ++block) {
    const auto of = [&](const char* linear) {
      return tied.at(fmt::format("model.layers.{}.{}", block, linear));
    };
    EXPECT_EQ(of("self_attn.q_proj"), of("self_attn.k_proj"));
    EXPECT_EQ(of("self_attn.q_proj"), of("self_attn.v_proj"));
    EXPECT_EQ(of("mlp.gate_proj"), of("mlp.up_proj"));
    different.insert({of("self_attn.q_proj"), of("mlp.down_proj"), of("mlp.gate_proj")});
  }
  EXPECT_GT(different.size(), 1u);
}

TEST(AllocateBits, WithoutAFormatTakeTheFirstThatHoldsTheNarrowOnes) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.model = filled_up(folder / "model");
  request.format.clear();
  const Allocation narrow = allocate(request, bits(4.5));
  EXPECT_EQ(narrow.request.format, "gptq_v2");
  EXPECT_NEAR(run(narrow.request)["bits_per_weight"]["quantized"].get<double>(), narrow.bits, 1e-9);
  request.out = folder / "out2";
  BitTarget target = bits(5);
  target.candidates = {"2", "4", "8"};
  const Allocation allocation = allocate(request, target);
  EXPECT_EQ(allocation.request.format, "compressed-tensors");
  EXPECT_NEAR(run(allocation.request)["bits_per_weight"]["quantized"].get<double>(),
              allocation.bits, 1e-9);
  request.out = folder / "out3";
  for (const char* setting : {"grid.clip_search=false", "grid.kind=bilevel", "grid.group_size=16"})
    apply_setting(request.recipe, setting);
  const Allocation bilevel = allocate(request, bits(3.9));
  EXPECT_EQ(bilevel.request.format, "native");
  const double quoted = run(bilevel.request)["bits_per_weight"]["quoted"].get<double>();
  EXPECT_NEAR(quoted, bilevel.bits, 1e-6);
  EXPECT_LE(quoted, 3.9);
}

TEST(AllocateBits, RulesOfTheRecipeStandAndBitsOverrideThem) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  request.recipe.rules = {{"*.down_proj", {{"grid.bits", "8"}, {"grid.group_size", "32"}}}};
  BitTarget target = bits(3);
  target.candidates = {"2", "3"};
  const Allocation allocation = allocate(request, target);
  for (const auto& [name, width] : widths(allocation)) EXPECT_LE(width, 3) << name;
  EXPECT_EQ(allocation.request.recipe.for_linear("model.layers.0.mlp.down_proj").grid.group_size,
            32);
}

TEST(AllocateBits, WhatCannotBeMetIsOneLineBeforeAnyWork) {
  const TemporaryFolder folder;
  const QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  const auto refusal = [&](const QuantizeRequest& of, const BitTarget& target) {
    NoWork nothing;
    return message_of([&] { allocate_bits(of, target, nothing); });
  };
  for (const double wanted : {0.0, 2.0, 9.0, -1.0, std::nan(""), HUGE_VAL})
    EXPECT_NE(refusal(request, bits(wanted)).find("the candidates come to 2."), std::string::npos);
  EXPECT_NE(refusal(request, bytes(1000)).find("--target-size: 1000 bytes: the candidates come to"),
            std::string::npos);
  BitTarget target = bits(3);
  for (const auto& [list, part] :
       {std::pair<std::vector<std::string>, const char*>{{"3"}, "two or more"},
        {{"3", "3"}, "twice"},
        {{"3", "Q4_K"}, "expected bits from 1 to 8"},
        {{"3", ""}, "found nothing"},
        {{"3", "9"}, "expected bits from 1 to 8"}}) {
    target.candidates = list;
    EXPECT_NE(refusal(request, target).find(part), std::string::npos) << part;
  }
  QuantizeRequest weighed = request;
  weighed.imatrix = folder / "imatrix.gguf";
  EXPECT_NE(refusal(weighed, bits(3)).find("--imatrix: "), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "out.recipe.toml"));
}

TEST(AllocateBits, FilesThatSayOtherwiseAreLeftAlone) {
  const TemporaryFolder folder;
  QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  allocate(request, bits(4));
  const std::string kept = read_file(folder / "out.sensitivities.json");
  NoWork nothing;
  // another size: the recipe is another one
  EXPECT_NE(message_of([&] {
              allocate_bits(request, bits(5), nothing);
            }).find("out.recipe.toml: exists and says something else"),
            std::string::npos);
  request.seed = 1;
  const std::string changed = message_of([&] { allocate_bits(request, bits(4), nothing); });
  EXPECT_NE(changed.find("out.sensitivities.json: of another measurement (calibration/seed: then "
                         "0, now 1)"),
            std::string::npos)
      << changed;
  request.overwrite = true;
  EXPECT_TRUE(allocate(request, bits(5)).measured);
  EXPECT_NE(read_file(folder / "out.sensitivities.json"), kept);
}

TEST(AllocateBits, ADamagedMeasurementIsRefusedWithItsPlace) {
  const TemporaryFolder folder;
  const QuantizeRequest request = request_for(folder / "out", "gptq", 4);
  allocate(request, bits(4));
  const fs::path file = folder / "out.sensitivities.json";
  const json good = json::parse(read_file(file));
  const std::string linear = "model.layers.0.mlp.up_proj";
  const auto refusal = [&](const std::function<void(json&)>& damage) {
    json bad = good;
    damage(bad);
    std::ofstream(file) << bad.dump();
    NoWork nothing;
    return message_of([&] { allocate_bits(request, bits(4), nothing); });
  };
  const auto expect = [&](const std::string& part, const std::function<void(json&)>& damage) {
    const std::string message = refusal(damage);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("up_proj: 3: kl: expected a number from 0, found -1",
         [&](json& j) { j["linears"][linear]["3"]["kl"] = -1; });
  expect("up_proj: 3: bits: expected a number",
         [&](json& j) { j["linears"][linear]["3"].erase("bits"); });
  expect("up_proj, 3: not measured", [&](json& j) { j["linears"][linear].erase("3"); });
  expect("up_proj, 2: not measured", [&](json& j) { j["linears"].erase(linear); });
  expect("expected version 1", [](json& j) { j["sensitivities"] = 2; });
  expect("expected what --target-bits has measured", [](json& j) { j = json::array(); });
  expect("linears: expected an object", [](json& j) { j["linears"] = 3; });
  // numbers that refused are no choice, and no fault
  json refused = good;
  refused["linears"][linear]["2"]["kl"] = nullptr;
  std::ofstream(file) << refused.dump();
  NoWork nothing;
  EXPECT_GT(allocate_bits(request, bits(4), nothing).bits, 3.9);
}

TEST(AllocateBits, CountWhatTheRunsOwnRecipeLoses) {
  const TemporaryFolder folder;
  std::map<std::string, double> at_three;
  for (const char* recipe : {"guided", "gptq", "rtn"}) {
    allocate(request_for(folder / recipe, recipe, 4), bits(4));
    const fs::path file = folder / (std::string(recipe) + ".sensitivities.json");
    for (const auto& [linear, costs] : parse_sensitivities(read_file(file)).linears)
      at_three[recipe] += costs.at("3").kl;
  }
  EXPECT_LT(at_three["guided"], at_three["gptq"]);  // which minimizes something else
  EXPECT_LT(1.2 * at_three["gptq"], at_three["rtn"]);
}

// Of what is small enough for two terms of a series.
TEST(AllocateBits, EstimatesTheDivergenceOfTheWhole) {
  const TemporaryFolder folder;
  BitTarget target = bits(0);
  target.sensitivities = folder / "kept.json";
  for (const double wanted : {4.1, 5.1}) {
    QuantizeRequest request = request_for(folder / fmt::format("out{}", wanted), "gptq", 4);
    request.check = true;
    target.bits = wanted;
    const Allocation allocation = allocate(request, target);
    const double kl = run(allocation.request)["check"]["kl"]["value"].get<double>();
    EXPECT_GT(allocation.kl, kl / 1.6) << kl;
    EXPECT_LT(allocation.kl, kl * 1.6) << kl;
  }
}

TEST(AllocateBits, MeasuresLessLossAtEveryFurtherBit) {
  const TemporaryFolder folder;
  allocate(request_for(folder / "out", "gptq", 4), bits(4));
  const Sensitivities found = parse_sensitivities(read_file(folder / "out.sensitivities.json"));
  EXPECT_EQ(found.linears.size(), 35u);
  for (const auto& [linear, costs] : found.linears) {
    EXPECT_EQ(costs.size(), 6u);
    EXPECT_GT(costs.at("2").kl, 2 * costs.at("3").kl) << linear;
    EXPECT_GT(costs.at("3").kl, 2 * costs.at("4").kl) << linear;
    EXPECT_GT(costs.at("4").kl, 10 * costs.at("8").kl) << linear;
  }
}

}  // namespace
}  // namespace halftone
