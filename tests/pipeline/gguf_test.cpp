// GGUF files wherever a model is taken, on a small one of the demo model.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/gguf_file.h"
#include "checkpoint/gguf_writer.h"
#include "pipeline/convert_model.h"
#include "pipeline/demo_request.h"
#include "pipeline/evaluate_model.h"
#include "pipeline/inspect.h"
#include "pipeline/opened_model.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::example;
using testing::message_of;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::test_data;

const fs::path kFile = test_data("gguf/stories260K.Q8_0.gguf");
constexpr double kSmallDivergence = 2e-3;  // of what 8-bit blocks do to the demo model

json compare_with_folder(const fs::path& file, const fs::path& folder, const fs::path& text) {
  EvaluateRequest request;
  request.model = file;
  request.reference = folder;
  request.texts = {text};
  request.length = 128;
  request.windows = 4;
  SilentProgress progress;
  return evaluate_model(request, progress);
}

// The file with its blocks in another type.
fs::path in_blocks_of(const char* name, const fs::path& path) {
  const GgufFile source(kFile);
  GgufPlan plan;
  for (const std::string_view key : source.metadata().keys()) {
    const GgufValue& value = *source.metadata().find(key);
    std::string stored(4, static_cast<char>(value.kind));
    stored.replace(1, 3, 3, '\0');
    if (value.is_array) {
      std::string head(16, '\0');
      head[0] = 9;
      head[4] = static_cast<char>(value.kind);
      std::memcpy(head.data() + 8, &value.count, sizeof value.count);
      stored = head;
    }
    plan.metadata.emplace_back(key, stored.append(value.bytes));
  }
  const GgufType* type = find_gguf_type(std::string_view(name));
  for (const GgufTensor& tensor : source.tensors())
    plan.tensors.push_back(
        {tensor.name, tensor.shape, tensor.type->is_block() ? type : tensor.type});
  GgufWriter writer(path, plan);
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    const GgufTensor& tensor = source.tensors()[i];
    const auto stored = source.bytes(tensor);
    if (!tensor.type->is_block()) {
      writer.write(tensor.name, stored);
      continue;
    }
    const int64_t blocks = static_cast<int64_t>(stored.size()) / tensor.type->block_bytes;
    std::vector<float> weights(static_cast<size_t>(blocks * tensor.type->block_length));
    tensor.type->decode(blocks, reinterpret_cast<const uint8_t*>(stored.data()), weights.data());
    std::vector<uint8_t> bytes(plan.tensors[i].bytes());
    type->encode(static_cast<int64_t>(weights.size()) / type->block_length, weights.data(),
                 bytes.data());
    writer.write(tensor.name, std::as_bytes(std::span(bytes)));
  }
  writer.finish();
  return path;
}

TEST(Gguf, AFileIsAModel) {
  const OpenedModel opened(kFile);
  EXPECT_EQ(opened.weights->format(), "gguf");
  EXPECT_EQ(opened.model.config().layers, 5);
  EXPECT_EQ(std::string(opened.model.family().name), "llama");
  EXPECT_TRUE(opened.notes().empty());
  EXPECT_EQ(opened.fingerprint(), OpenedModel(kFile).fingerprint());
}

TEST(Gguf, AFileIsScoredLikeTheFolderItComesFrom) {
  // its own tokenizer gives the same ids, or the two would not be compared
  const json result =
      compare_with_folder(kFile, example("stories260K"), example("tinystories-evaluation.txt"));
  EXPECT_EQ(result["format"], "gguf");
  EXPECT_LT(result["kl"]["mean"].get<double>(), kSmallDivergence);
  EXPECT_GT(result["kl"]["mean"].get<double>(), 0);
  EXPECT_NEAR(result["bits_per_weight"]["quantized"].get<double>(), 10.3, 0.2);  // down: float16
}

TEST(Gguf, InspectCountsTypes) {
  const json result = inspect_path(kFile, true);
  EXPECT_EQ(result["kind"], "model file");
  EXPECT_EQ(result["format"], "gguf");
  EXPECT_EQ(result["types"], (json{{"F16", 5}, {"F32", 11}, {"Q8_0", 31}}));
  EXPECT_EQ(result["quantized_linears"], 30);
  EXPECT_EQ(result["tensors"].size(), 47U);
}

TEST(Gguf, DenseHoldsTheDequantizedWeights) {
  const TemporaryFolder folder;
  SilentProgress progress;
  const ConvertRequest request{
      .model = kFile, .out = folder / "dense", .format = "dense", .overwrite = false};
  const json report = convert_model(request, progress);
  EXPECT_EQ(report["from"], "gguf");
  EXPECT_EQ(report["verified"], true);
  const auto file = open_model(kFile), dense = open_model(folder / "dense");
  EXPECT_EQ(dense->names(), file->names());
  for (const std::string& name : file->names())
    EXPECT_TRUE(at::equal(dense->load(name), file->load(name))) << name;
  EXPECT_EQ(dense->config(), file->config());
  const ConvertRequest packed{
      .model = kFile, .out = folder / "packed", .format = "gptq", .overwrite = false};
  EXPECT_NE(message_of([&] { convert_model(packed, progress); }).find("expected --format dense"),
            std::string::npos);
}

TEST(Gguf, FineWeightsAreQuantized) {
  const TemporaryFolder folder;
  QuantizeRequest request = testing::request_for(folder / "out", "rtn", 4);
  request.model = kFile;
  request.calibration.clear();
  const json report = testing::run(request);
  EXPECT_EQ(report["verified"], true);
  EXPECT_EQ(open_model(folder / "out")->linears().size(), 35U);
  EXPECT_NE(report.value("notes", json()).dump().find("tokenizer lies in the file itself"),
            std::string::npos);
}

TEST(Gguf, CoarseWeightsAreQuantizedOnlyIfAskedFor) {
  const TemporaryFolder folder;
  QuantizeRequest request = testing::request_for(folder / "out", "rtn", 4);
  request.model = in_blocks_of("Q4_0", folder / "coarse.gguf");
  request.calibration.clear();
  const std::string message = message_of([&] { testing::run(request); });
  EXPECT_NE(message.find("fewer than 8 bits already (31 in Q4_0)"), std::string::npos) << message;
  EXPECT_NE(message.find("--requantize"), std::string::npos);
  request.requantize = true;
  const json report = testing::run(request);
  EXPECT_EQ(report["verified"], true);
  EXPECT_NE(report.value("notes", json()).dump().find("their error is in the result"),
            std::string::npos);
}

TEST(Gguf, NoOutputTakesThePlaceOfTheFile) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "m");
  fs::copy(kFile, folder / "m" / "x.gguf");
  QuantizeRequest request = testing::request_for(folder / "m", "rtn", 4);
  request.model = folder / "m" / "x.gguf";
  request.calibration.clear();
  request.overwrite = true;
  EXPECT_NE(message_of([&] { testing::run(request); }), "");
  EXPECT_TRUE(fs::exists(folder / "m" / "x.gguf"));
}

struct GoldenFile {
  const char *file, *folder;
  double divergence;
};

TEST(GoldenGguf, FilesAreScoredLikeTheirFolders) {
  HALFTONE_REQUIRE_SHARED("golden/gguf/files/manifest.json");
  for (const GoldenFile& golden : {GoldenFile{"stories260K.F16", "stories260K", 5e-6},
                                   {"stories260K.Q8_0", "stories260K", 2e-3},
                                   {"babyllama_tok105.F16", "babyllama_tok105", 5e-6},
                                   {"babyllama_tok105.Q8_0", "babyllama_tok105", 2e-3},
                                   {"babyllama_tok105.Q4_0", "babyllama_tok105", 0.3}}) {
    SCOPED_TRACE(golden.file);
    const json result =
        compare_with_folder(shared_data(fmt::format("golden/gguf/files/{}.gguf", golden.file)),
                            shared_data(fmt::format("models/{}/hf", golden.folder)),
                            example("tinystories-evaluation.txt"));
    EXPECT_LT(result["kl"]["mean"].get<double>(), golden.divergence);
  }
}

}  // namespace
}  // namespace halftone
