// Checkpoints made by gptqmodel and llm-compressor: de-quantized they are what those libraries
// compute.
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "format/support.h"

namespace halftone {
namespace {

std::string sha256_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.contiguous();
  return sha256_hex(
      {static_cast<const std::byte*>(plain.const_data_ptr()), static_cast<size_t>(plain.nbytes())});
}

// Every weight, rounded once to the library's type, against the manifest's hash.
void expect_library_weights(const std::filesystem::path& folder, const std::string& hashes,
                            at::ScalarType dtype) {
  const auto model = open_model(folder);
  const auto expected = read_json(folder / "manifest.json").at(hashes);
  ASSERT_EQ(model->linears().size(), expected.size());
  for (const auto& [weight, hash] : expected.items())
    EXPECT_EQ(sha256_of(model->load(weight).to(dtype)), hash.get<std::string>()) << weight;
  const auto block = folder / "dequantized_block1.safetensors";
  if (!std::filesystem::exists(block)) return;
  const SafetensorsFile file(block);
  for (const StoredTensor& stored : file.tensors())
    EXPECT_TRUE(at::equal(model->load(stored.name).to(dtype), file.view(stored))) << stored.name;
}

void expect_gptq(const std::filesystem::path& folder) {
  expect_library_weights(folder, "dequantized_sha256_f16", at::kHalf);
}

void expect_compressed(const std::filesystem::path& folder) {
  expect_library_weights(folder, "dequantized_sha256", at::kBFloat16);
}

class LibraryGptq : public ::testing::TestWithParam<std::string> {};
TEST_P(LibraryGptq, WeightsAreTheLibrarys) {
  expect_gptq(testing::test_data("format/gptq/" + GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Cases, LibraryGptq,
                         ::testing::Values("w3g32_sym_v1", "w4g32_asym_v2",
                                           "w4g32_sym_actorder_v1"));

class LibraryCompressed : public ::testing::TestWithParam<std::string> {};
TEST_P(LibraryCompressed, WeightsAreTheLibrarys) {
  expect_compressed(testing::test_data("format/compressed_tensors/" + GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Cases, LibraryCompressed, ::testing::Values("w3g32_sym", "w4g32_asym"));

TEST(LibraryFiles, SwappedConstantsOf3BitV1AreRepairedAndNoted) {
  const auto model = open_model(testing::test_data("format/gptq/w3g32_sym_v1"));
  const QuantizedLinear linear = model->read_linear(model->linears().front());
  EXPECT_TRUE(linear.symmetric);
  EXPECT_TRUE(linear.zeros.eq(4).all().item<bool>());
  ASSERT_EQ(model->notes().size(), 1u);
}

TEST(LibraryFiles, ActOrderKeepsAGroupForEveryColumn) {
  const auto model = open_model(testing::test_data("format/gptq/w4g32_sym_actorder_v1"));
  EXPECT_TRUE(model->read_linear("model.layers.1.mlp.down_proj").group_of_column.defined());
  EXPECT_EQ(model->format(), "gptq");
}

class GoldenGptq : public ::testing::TestWithParam<std::string> {};
TEST_P(GoldenGptq, WeightsAreTheLibrarys) {
  HALFTONE_REQUIRE_SHARED("golden/gptq/" + GetParam());
  expect_gptq(testing::shared_data("golden/gptq/" + GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Golden, GoldenGptq,
                         ::testing::Values("w2g32_sym_v1", "w3g32_sym_v1", "w4g32_asym_v2",
                                           "w4g32_sym_actorder_v1", "w4g32_sym_v1", "w4g32_sym_v2",
                                           "w8g32_sym_v1"));

class GoldenCompressed : public ::testing::TestWithParam<std::string> {};
TEST_P(GoldenCompressed, WeightsAreTheLibrarys) {
  HALFTONE_REQUIRE_SHARED("golden/compressed_tensors/" + GetParam());
  expect_compressed(testing::shared_data("golden/compressed_tensors/" + GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Golden, GoldenCompressed,
                         ::testing::Values("w2g32_sym", "w3g32_sym", "w4channel_sym", "w4g32_asym",
                                           "w4g32_sym", "w8g32_sym"));

// Reading a library's file and writing it again gives the library's tensors, word for word.
void expect_same_words(const std::filesystem::path& folder, const std::string& format,
                       const std::vector<std::string>& parts) {
  const auto model = open_model(folder);
  OutputPlan plan;
  plan.source = &model->source();
  plan.dtype = format == "compressed-tensors" ? at::kBFloat16 : at::kHalf;
  for (const std::string& name : model->linears())
    plan.linears.push_back(plan_of(name, model->read_linear(name)));
  ASSERT_EQ(find_format(format).refusal(plan), "");
  testing::TemporaryFolder out;
  const auto writer = find_format(format).open_writer(out.path(), plan);
  for (const std::string& name : model->linears())
    writer->add_linear(finish_linear(name, model->read_linear(name)));
  writer->finish({});
  const Checkpoint written(out.path());
  for (const std::string& name : model->linears())
    for (const std::string& part : parts)
      EXPECT_TRUE(at::equal(written.load(name + part), model->source().load(name + part)))
          << name << part;
}

TEST(LibraryFiles, GptqWrittenAgainEveryWordIsTheSame) {
  const std::vector<std::string> parts = {".qweight", ".qzeros", ".scales", ".g_idx"};
  expect_same_words(testing::test_data("format/gptq/w4g32_asym_v2"), "gptq_v2", parts);
  expect_same_words(testing::test_data("format/gptq/w4g32_sym_actorder_v1"), "gptq", parts);
}

TEST(LibraryFiles, CompressedWrittenAgainEveryWordIsTheSame) {
  const std::vector<std::string> parts = {".weight_packed", ".weight_scale", ".weight_shape"};
  expect_same_words(testing::test_data("format/compressed_tensors/w3g32_sym"), "compressed-tensors",
                    parts);
  auto with_zeros = parts;
  with_zeros.push_back(".weight_zero_point");
  expect_same_words(testing::test_data("format/compressed_tensors/w4g32_asym"),
                    "compressed-tensors", with_zeros);
}

}  // namespace
}  // namespace halftone
