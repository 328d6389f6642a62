// The writer of GGUF files by itself; whole runs are in tests/pipeline.
#include "format/gguf_output.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/gguf_file.h"
#include "format/gguf_blocks.h"
#include "format/support.h"
#include "quantize/linear_solver.h"

namespace halftone {
namespace {

using testing::make_linear;
using testing::message_of;
using testing::plan_for;
using testing::SourceModel;
using testing::TemporaryFolder;

constexpr double kFourBits = 0.08;  // relative error of normal numbers, with some room
constexpr const char* kLinear = "model.layers.0.mlp.up_proj";

class GgufWriting : public ::testing::Test {
 protected:
  GgufWriting() {
    plan_.gguf.emplace();
    plan_.gguf->architecture = "llama";
    plan_.gguf->head_dim = 4;
    for (const char* name : {"model.embed_tokens.weight", "model.norm.weight"})
      plan_.others.push_back({name, source_.tensors().at(name).sizes().vec()});
  }

  std::unique_ptr<ModelWriter> open() const { return open_gguf_writer(file_, plan_); }
  void add_all(ModelWriter& writer) const {
    for (const PlannedTensor& other : plan_.others)
      writer.add_tensor(other.name, source_.tensors().at(other.name));
    writer.add_linear(finish_linear(kLinear, make_linear({})));
  }
  nlohmann::json stored_report() const {
    return nlohmann::json::parse(*GgufFile(file_).metadata().text(kGgufReportKey));
  }

  const TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_ / "out.gguf";
  const SourceModel source_;
  OutputPlan plan_ = plan_for(source_, {{kLinear, {}}});
};

TEST_F(GgufWriting, TellsWhatEveryMatrixMustGiveBack) {
  for (const char* type : {"", "F32", "F16"}) {
    plan_.gguf->matrix_type = type;
    const auto writer = open();
    add_all(*writer);
    writer->finish({});
    const at::Tensor table = source_.tensors().at("model.embed_tokens.weight");
    EXPECT_EQ(writer->fingerprints().size(), 2U);
    EXPECT_EQ(writer->fingerprints().at("model.embed_tokens"), weight_fingerprint(table)) << type;
    EXPECT_EQ(writer->fingerprints().at(kLinear),
              finish_linear(kLinear, make_linear({})).fingerprint);
  }
}

// Blocks need whole rows, which the small model's are not.
TEST_F(GgufWriting, AMatrixOfATypeOfItsOwnIsQuantizedRowsByRows) {
  const at::Tensor table = at::randn({70, 256});
  plan_.others = {{.name = "model.embed_tokens.weight",
                   .shape = {70, 256},
                   .gguf_type = "Q4_K",
                   .quantized = true,
                   .last = true}};
  LinearRecipe recipe;
  recipe.objective.kind = ObjectiveKind::kNone;
  recipe.grid = {.kind = GridKind::kSuperBlock,
                 .bits = 4,
                 .group_size = 32,
                 .clip_search = true,
                 .float16_scales = true};
  plan_.gguf->file_type = 15;
  const LinearSolver solver(LinearStatistics{}, recipe, 1);
  const auto quantize = [&](const at::Tensor& rows) { return solver.quantize(rows).quantized; };
  {
    const auto writer = open();
    EXPECT_NE(message_of([&] {
                writer->add_rows("model.embed_tokens.weight", table, quantize);
              }).find("expected tensor"),
              std::string::npos);  // it comes behind the linears
  }
  {
    const auto writer = open();
    writer->add_linear(finish_linear(kLinear, make_linear({})));
    writer->add_rows("model.embed_tokens.weight", table, quantize);
    EXPECT_EQ(writer->fingerprints().at("model.embed_tokens"),
              weight_fingerprint(dequantize(quantize(table))));
    writer->finish({});
  }
  const GgufFile written(file_);
  EXPECT_EQ(written.metadata().whole("general.file_type"), 15);
  const GgufTensor& last = written.tensors().back();
  EXPECT_EQ(last.name, "token_embd.weight");
  at::Tensor decoded = at::empty({70, 256}, at::kFloat);
  last.type->decode(70, reinterpret_cast<const uint8_t*>(written.bytes(last).data()),
                    decoded.mutable_data_ptr<float>());
  EXPECT_TRUE(at::equal(decoded, dequantize(quantize(table))));
  EXPECT_LT((decoded - table).norm().item<double>(), kFourBits * table.norm().item<double>());
}

TEST_F(GgufWriting, LinearsOfNvfp4HaveTheScaleOfTheirTensorBesideThem) {
  const QuantizedLinear linear = testing::make_super_blocks(4, 16, 64, Levels::kNvfp4);
  plan_.linears = {plan_of(kLinear, linear)};
  plan_.others.clear();
  {
    const auto writer = open();
    writer->add_linear(finish_linear(kLinear, linear));
    writer->finish({});
  }
  const GgufFile written(file_);
  ASSERT_EQ(written.tensors().size(), 2U);
  const GgufTensor& scale = written.tensors().back();
  EXPECT_TRUE(scale.name.ends_with(".scale")) << scale.name;
  float stored = 0;
  std::memcpy(&stored, written.bytes(scale).data(), sizeof stored);
  EXPECT_EQ(stored, 0x1p-8F);
}

TEST_F(GgufWriting, AReportThatHasNoRoomIsKeptWithoutItsRows) {
  const auto writer = open();
  add_all(*writer);
  const std::string long_text(size_t{1} << 17, 'x');
  writer->finish({{"halftone_version", "1"}, {"linears", {{{"name", long_text}}}}});
  const nlohmann::json report = stored_report();
  EXPECT_EQ(report["halftone_version"], "1");
  EXPECT_EQ(report["linears"], nlohmann::json::array());
  EXPECT_NE(report.value("notes", nlohmann::json()).dump().find("no room"), std::string::npos);
}

TEST_F(GgufWriting, WhatIsNotPlannedOrMissingIsRefused) {
  const auto writer = open();
  EXPECT_NE(message_of([&] {
              writer->add_tensor("model.norm.weight", at::ones({4}));
            }).find("not the next planned tensor"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              writer->add_linear(finish_linear("other", make_linear({})));
            }).find("not one of the planned linears"),
            std::string::npos);
  EXPECT_NE(message_of([&] { writer->finish({}); }).find("planned, but never written"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
