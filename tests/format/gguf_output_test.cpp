// The writer of GGUF files by itself; whole runs are in tests/pipeline.
#include "format/gguf_output.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf_file.h"
#include "format/gguf_blocks.h"
#include "format/support.h"

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

// Rounding needs rows of whole blocks, which the small model's are not.
TEST_F(GgufWriting, AMatrixOfATypeOfItsOwnIsRoundedToIt) {
  const at::Tensor table = at::randn({70, 256});
  plan_.others = {{.name = "model.embed_tokens.weight", .shape = {70, 256}, .gguf_type = "Q4_K"}};
  plan_.others[0].rounding.objective.kind = ObjectiveKind::kNone;
  plan_.others[0].rounding.grid = {.kind = GridKind::kSuperBlock,
                                   .bits = 4,
                                   .group_size = 32,
                                   .clip_search = true,
                                   .float16_scales = true};
  plan_.gguf->file_type = 15;
  {
    const auto writer = open();
    writer->add_tensor("model.embed_tokens.weight", table);
    writer->add_linear(finish_linear(kLinear, make_linear({})));
    const GgufType& type = *find_gguf_type("Q4_K");
    const RoundedRows rounded = gguf_rounded(table, type, plan_.others[0].rounding);
    EXPECT_EQ(writer->fingerprints().at("model.embed_tokens"), weight_fingerprint(rounded.weights));
    at::Tensor decoded = at::empty({70, 256}, at::kFloat);
    type.decode(70, reinterpret_cast<const uint8_t*>(rounded.bytes.data()),
                decoded.mutable_data_ptr<float>());
    EXPECT_TRUE(at::equal(decoded, rounded.weights));
    EXPECT_LT((decoded - table).norm().item<double>(), kFourBits * table.norm().item<double>());
    writer->finish({});
  }
  EXPECT_EQ(GgufFile(file_).metadata().whole("general.file_type"), 15);
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
