#include <gtest/gtest.h>

#include <chrono>

#include "format/packed_rows.h"
#include "format/support.h"

namespace halftone {
namespace {

using testing::folder_formats;
using testing::LinearCase;
using testing::make_linear;
using testing::make_plan;
using testing::message_of;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;
using testing::write_cases;
using testing::write_folder;

std::string default_for(const LinearCase& options) {
  const SourceModel source;
  return default_format(plan_for(source, {{"a", options}})).name;
}

TEST(Formats, TheDefaultIsTheFirstThatHoldsTheGridUnasked) {
  EXPECT_EQ(default_for({}), "compressed-tensors");
  EXPECT_EQ(default_for({.symmetric = false}), "compressed-tensors");
  EXPECT_EQ(default_for({.bits = 3}), "gptq_v2");
  EXPECT_EQ(default_for({.dynamic_groups = true}), "gptq");
  EXPECT_EQ(default_for({.symmetric = false, .dynamic_groups = true}), "gptq_v2");
  EXPECT_EQ(default_for({.group_size = 48}), "gptq");
  EXPECT_EQ(default_for({.bits = 5}), "native");
  EXPECT_EQ(default_for({.scale_bits = 0}), "native");
}

TEST(Formats, SayWhichTypeTheirScalesHave) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {{"a", {}}});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    plan.dtype = dtype;
    EXPECT_EQ(find_format("compressed-tensors").scale_type(plan), dtype);
    for (const char* gptq : {"gptq", "gptq_v2"})
      EXPECT_EQ(find_format(gptq).scale_type(plan), at::kHalf);
    for (const char* wide : {"native", "dense"})
      EXPECT_EQ(find_format(wide).scale_type(plan), at::kFloat);
  }
}

TEST(Formats, AnUnknownNameListsTheKnownOnes) {
  const std::string message = message_of([] { find_format("gguf2"); });
  for (const Format& format : formats())
    EXPECT_NE(message.find(format.name), std::string::npos) << message;
}

TEST(Formats, ASourceTensorOfAnotherShapeIsRefused) {
  const SourceModel source;
  for (const Format& format : formats())
    EXPECT_NE(
        format.refusal(plan_for(source, {{"model.router", {}}})).find("the source holds (2, 4)"),
        std::string::npos);
}

TEST(Formats, OnlyNativeAndDenseHoldLinearsWhoseInputsAreRotatedAsTheModelRuns) {
  const SourceModel source;
  OutputPlan plan = plan_for(source, {{"a", {}}, {"b", {}}});
  for (const Format& format : folder_formats()) EXPECT_EQ(format.refusal(plan), "") << format.name;
  plan.linears[1].reads_rotated = true;
  for (const Format& format : folder_formats()) {
    const bool ours = format.name == "native" || format.name == "dense";
    EXPECT_EQ(format.refusal(plan).empty(), ours) << format.name;
    if (ours) continue;
    EXPECT_NE(format.refusal(plan).find("b: inputs rotated as the model runs"), std::string::npos);
  }
}

TEST(Formats, AnIntegerModelIsRefused) {
  const SourceModel source;
  for (const Format& format : formats())
    EXPECT_NE(format.refusal(plan_for(source, {{"a", {}}}, at::kChar)), "");
}

TEST(OpenModel, AMethodThatIsNotOursListsThoseThatAre) {
  TemporaryFolder folder;
  const auto error_for = [&](const nlohmann::json& config) {
    write_folder(folder / "m", config, {{"x.weight", at::zeros({2, 2})}});
    return testing::reading_error(folder / "m");
  };
  EXPECT_NE(error_for({{"quantization_config", {{"quant_method", "quip"}}}}).find("found quip"),
            std::string::npos);
  EXPECT_NE(error_for({{"quantization_config", 3}}).find("expected an object"), std::string::npos);
  EXPECT_NE(error_for({{"quantization", {{"bits", 4}}}}), "");
  EXPECT_NE(error_for({{"compression_config", {{"x", 4}}}}), "");
  EXPECT_NE(error_for({{"quantization_config",
                        {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 32}}}})
                .find("there is no tensor"),
            std::string::npos);
}

TEST(OpenModel, APlainFolderHasNoQuantizedLinears) {
  const SourceModel source;
  const auto model = open_model(source.checkpoint().folder());
  EXPECT_EQ(model->format(), "dense");
  EXPECT_TRUE(model->linears().empty());
  EXPECT_NE(message_of([&] { static_cast<void>(model->read_linear("a")); }), "");
}

// A model that is one file: what belongs to it lies in no folder.
class OneFile final : public ModelSource {
 public:
  explicit OneFile(const Checkpoint& weights) : weights_(weights) {}
  const std::filesystem::path& path() const override { return file_; }
  std::vector<std::filesystem::path> files() const override { return {file_}; }
  std::optional<std::filesystem::path> companion_folder() const override { return std::nullopt; }
  StoredInfo stored_info(std::string_view name) const override {
    return weights_.stored_info(name);
  }
  std::span<const std::byte> stored_data(std::string_view name) const override {
    return weights_.stored_data(name);
  }
  size_t stored_bytes() const override { return weights_.stored_bytes(); }
  std::vector<std::string> notes() const override { return {}; }
  const nlohmann::json& config() const override { return weights_.config(); }
  std::vector<std::string> names() const override { return weights_.names(); }
  bool contains(std::string_view name) const override { return weights_.contains(name); }
  WeightInfo info(std::string_view name) const override { return weights_.info(name); }
  at::Tensor load(std::string_view name) const override { return weights_.load(name); }
  void release(std::string_view name) const override { weights_.release(name); }

 private:
  const Checkpoint& weights_;
  std::filesystem::path file_ = "model.gguf";
};

TEST(Writer, AFolderIsWrittenOfASourceThatIsAFile) {
  const SourceModel folder_model;
  const OneFile source(folder_model.checkpoint());
  for (const Format& format : folder_formats()) {
    const TemporaryFolder folder;
    OutputPlan plan = plan_for(folder_model, {{"a", {}}});
    plan.source = &source;
    ASSERT_EQ(format.refusal(plan), "") << format.name;
    const auto writer = format.open_writer(folder.path(), plan);
    for (const auto& [name, tensor] : folder_model.tensors()) writer->add_tensor(name, tensor);
    writer->add_linear(finish_linear("a", make_linear({})));
    writer->finish({});
    verify_written(folder.path(), writer->fingerprints());
    EXPECT_FALSE(std::filesystem::exists(folder / "tokenizer.json")) << format.name;
    const auto written = open_model(folder.path());
    EXPECT_EQ(written->config().at("model_type"), "llama") << format.name;
  }
}

TEST(Writer, WhatIsNotPlannedIsRefused) {
  const SourceModel source;
  for (const Format& format : folder_formats()) {
    TemporaryFolder folder;
    const auto writer = format.open_writer(folder.path(), plan_for(source, {{"a", {}}, {"b", {}}}));
    EXPECT_NE(message_of([&] { writer->add_linear(finish_linear("c", make_linear({}))); }), "");
    for (const LinearCase& other : {LinearCase{.out = 64},
                                    {.bits = 2},
                                    {.group_size = 16},
                                    {.symmetric = false},
                                    {.dynamic_groups = true}})
      EXPECT_NE(message_of([&] {
                  writer->add_linear(finish_linear("a", make_linear(other)));
                }).find("plan"),
                std::string::npos);
    writer->add_linear(finish_linear("a", make_linear({})));
    EXPECT_NE(
        message_of([&] { writer->add_linear(finish_linear("a", make_linear({}))); }).find("twice"),
        std::string::npos);
    EXPECT_NE(message_of([&] { writer->finish({}); }).find("b: planned, but never written"),
              std::string::npos);
  }
}

TEST(Writer, NumbersThatAreNoGridAreRefused) {
  const SourceModel source;
  TemporaryFolder folder;
  const auto writer =
      find_format("native").open_writer(folder.path(), plan_for(source, {{"a", {}}}));
  const auto error_with = [&](auto&& spoil) {
    QuantizedLinear linear = make_linear({});
    spoil(linear);
    return message_of([&] { writer->add_linear(finish_linear("a", linear)); });
  };
  EXPECT_NE(error_with([](auto& linear) { linear.codes.fill_(16); }).find("codes"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& linear) { linear.zeros.fill_(7); }).find("zeros"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& linear) { linear.scales.fill_(NAN); }).find("scales"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& linear) {
              linear.scales = linear.scales.narrow(1, 0, 1);
            }).find("scales"),
            std::string::npos);
  EXPECT_NE(
      error_with([](auto& linear) { linear.codes = linear.codes.to(at::kInt); }).find("codes"),
      std::string::npos);
  EXPECT_NE(error_with([](auto& linear) { linear.group_size = 0; }).find("group size"),
            std::string::npos);
}

TEST(PlanOf, DescribesALinearSoThatItCanBeWrittenAgain) {
  const LinearPlan plan = plan_of("a", make_linear({.bits = 3,
                                                    .group_size = 16,
                                                    .symmetric = false,
                                                    .dynamic_groups = true,
                                                    .zero_min = 1,
                                                    .scale_bits = 7}));
  EXPECT_EQ(plan.grid.bits, 3);
  EXPECT_EQ(plan.grid.group_size, 16);
  EXPECT_EQ(plan.grid.least_zero, 1);
  EXPECT_EQ(plan.grid.scale_bits, 7);
  EXPECT_FALSE(plan.grid.symmetric);
  EXPECT_TRUE(plan.grid.group_index);
  EXPECT_EQ(plan_of("a", make_linear({.scale_bits = 0})).grid.scale_bits, 24);
  EXPECT_EQ(plan_of("a", make_linear({.group_size = 0})).grid.group_size, 0);
}

TEST(PlanOf, SaysOfALinearWhatItsRecipeSaid) {
  const std::vector<LinearCase> cases = {
      {.bits = 3, .group_size = 16, .symmetric = false, .zero_min = 1, .scale_bits = 7},
      {.run_size = 16, .outliers = true},
      {.symmetric = false, .run_size = 8, .scale_code_bits = 5},
      {.symmetric = false, .run_size = 8, .zero_code_bits = 0},
      {.group_size = 0, .dynamic_groups = false}};
  for (const LinearCase& one : cases) {
    const StoredGrid asked = make_plan("a", one).grid, found = plan_of("a", make_linear(one)).grid;
    EXPECT_EQ(found.kind, asked.kind);
    EXPECT_EQ(found.bits, asked.bits);
    EXPECT_EQ(found.group_size, asked.group_size);
    EXPECT_EQ(found.group_index, asked.group_index);
    EXPECT_EQ(found.outliers, asked.outliers);
    EXPECT_EQ(found.run_size, asked.run_size);
    EXPECT_EQ(found.scale_code_bits, asked.scale_code_bits);
    EXPECT_EQ(found.zero_code_bits, asked.zero_code_bits);
    if (one.run_size != 0) continue;
    EXPECT_LE(found.scale_bits, asked.scale_bits);
    EXPECT_TRUE(one.symmetric || found.least_zero >= asked.least_zero);
  }
}

TEST(Formats, AFoldersFormatSurvivesConversionThereAndBack) {
  const SourceModel source;
  TemporaryFolder folder;
  const auto written =
      write_cases(folder / "0", "gptq", source, {{"a", {.symmetric = false, .zero_min = 1}}});
  std::filesystem::path last = folder / "0";
  for (const std::string name : {"compressed-tensors", "native", "gptq_v2", "gptq"}) {
    const auto model = open_model(last);
    OutputPlan plan;
    plan.source = &model->source();
    plan.dtype = at::kBFloat16;
    plan.linears = {plan_of("a", model->read_linear("a"))};
    last = folder / name;
    std::filesystem::create_directory(last);
    const auto writer = find_format(name).open_writer(last, plan);
    writer->add_linear(finish_linear("a", model->read_linear("a")));
    writer->finish({});
    EXPECT_NO_THROW(verify_written(last, written)) << name;
  }
}

}  // namespace
}  // namespace halftone
