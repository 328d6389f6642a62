// Folders of an architecture that holds the experts of a layer in one tensor.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "format/format.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::TemporaryFolder;
using ::halftone::testing::test_data;

// All weights of a folder as they are, in another one of this format.
void write_again(const fs::path& from, const fs::path& to, const std::string& format) {
  const Checkpoint source(from);
  OutputPlan plan;
  plan.source = &source;
  plan.dtype = at::kBFloat16;
  plan.companions = false;
  for (const std::string& name : source.names())
    plan.others.push_back({.name = name, .shape = source.info(name).shape});
  fs::create_directory(to);
  const auto writer = find_format(format).open_writer(to, plan);
  for (const std::string& name : source.names()) writer->add_tensor(name, source.load(name));
  writer->finish({});
}

TEST(FusedExpertsOutput, DenseHoldsTheTensorsThatTransformersReads) {
  const TemporaryFolder folder;
  const fs::path plain = test_data("forward/mixtures/gpt_oss");
  const SafetensorsFile expected(plain / "model.safetensors");
  for (const char* layout : {"gpt_oss", "gpt_oss_mxfp4"}) {
    write_again(test_data("forward/mixtures") / layout, folder / layout, "dense");
    const SafetensorsFile found(folder / layout / "model.safetensors");
    ASSERT_EQ(found.tensors().size(), expected.tensors().size()) << layout;
    for (const StoredTensor& tensor : expected.tensors()) {
      ASSERT_NE(found.find(tensor.name), nullptr) << layout << " " << tensor.name;
      EXPECT_TRUE(at::equal(found.view(*found.find(tensor.name)), expected.view(tensor)))
          << layout << " " << tensor.name;
    }
    EXPECT_FALSE(read_json(folder / layout / "config.json").contains("quantization_config"));
  }
}

TEST(FusedExpertsOutput, PackedFoldersKeepExpertsApartAndAreReadAsTheSameModel) {
  const TemporaryFolder folder;
  const fs::path from = test_data("forward/mixtures/gpt_oss_mxfp4");
  write_again(from, folder / "out", "native");
  const Checkpoint source(from), found(folder / "out");
  EXPECT_EQ(found.names(), source.names());
  for (const std::string& name : source.names()) {
    EXPECT_EQ(found.stored(name).name, name);
    EXPECT_TRUE(at::equal(found.load(name), source.load(name))) << name;
  }
}

TEST(FusedExpertsOutput, EnginesThatWantExpertsTogetherAreSaid) {
  const Checkpoint source(test_data("forward/mixtures/gpt_oss"));
  OutputPlan plan;
  plan.source = &source;
  EXPECT_NE(find_format("compressed-tensors").caution(plan).find("--format dense"),
            std::string::npos);
}

}  // namespace
}  // namespace halftone
