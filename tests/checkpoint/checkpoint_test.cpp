#include "checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <span>

#include "checkpoint/hostile_files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::TemporaryFolder;
using testing::write_bytes;

// A folder with two shards, `a` (8 bytes) and `b` (4 bytes) in the first, `c` (4 bytes) in the
// second.
class CheckpointFolder : public ::testing::Test {
 protected:
  CheckpointFolder() {
    write_bytes(folder_ / "config.json", R"({"model_type":"llama"})");
    shard("one", {{"a", at::ones({2})}, {"b", at::zeros({1})}});
    shard("two", {{"c", at::full({1}, 7.0f)}});
  }
  void shard(const std::string& name, const std::map<std::string, at::Tensor>& tensors) {
    write_safetensors(folder_ / (name + ".safetensors"), tensors, {{"format", name}});
  }
  void index(const std::string& text) {
    write_bytes(folder_ / "model.safetensors.index.json", text);
  }
  void weight_map(const std::string& members, const std::string& total_size = "16") {
    index(R"({"metadata":{"total_size":)" + total_size + R"(},"weight_map":{)" + members + "}}");
  }
  Checkpoint open() const { return Checkpoint(folder_.path()); }
  std::string rejection() const {
    return error_of([&] { open(); });
  }

  const std::string honest_ =
      R"("a":"one.safetensors","b":"one.safetensors","c":"two.safetensors")";
  TemporaryFolder folder_;
};

TEST_F(CheckpointFolder, TensorsOfAllShardsAreFound) {
  weight_map(honest_);
  const Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.config().at("model_type"), "llama");
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(checkpoint.contains("b"));
  EXPECT_FALSE(checkpoint.contains("d"));
  EXPECT_EQ(checkpoint.stored("a").shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(checkpoint.load("c").item<float>(), 7);
  EXPECT_EQ(checkpoint.stored_bytes(), 16u);
  EXPECT_EQ(checkpoint.metadata().at("format"), "one");
}

TEST_F(CheckpointFolder, IsASourceThatTellsHowItsWeightsLie) {
  weight_map(honest_);
  const Checkpoint checkpoint = open();
  const ModelSource& source = checkpoint;
  EXPECT_EQ(source.path(), folder_.path());
  EXPECT_EQ(source.companion_folder(), folder_.path());
  EXPECT_EQ(source.files(), (std::vector<std::filesystem::path>{folder_ / "config.json",
                                                                folder_ / "one.safetensors",
                                                                folder_ / "two.safetensors"}));
  const StoredInfo stored = source.stored_info("a");
  EXPECT_EQ(stored.dtype, "F32");
  EXPECT_EQ(stored.shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(stored.bytes, 8u);
  const std::span<const std::byte> bytes = source.stored_data("c");
  ASSERT_EQ(bytes.size(), sizeof(float));
  float value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  EXPECT_EQ(value, 7);
  EXPECT_NE(error_of([&] { static_cast<void>(source.stored_info("d")); }), "");
  EXPECT_NE(error_of([&] { static_cast<void>(source.stored_data("d")); }), "");
}

TEST_F(CheckpointFolder, SingleFileGoesBeforeAnIndex) {
  index("not even JSON");
  shard("model", {{"only", at::ones({1})}});
  EXPECT_EQ(open().names(), (std::vector<std::string>{"only"}));
}

size_t resident_pages() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident;
}

TEST_F(CheckpointFolder, ReleasedTensorLeavesMemoryAndReadsTheSameAgain) {
  const at::Tensor large = at::arange(1 << 20);  // 8 MiB
  shard("model", {{"large", large}});
  const Checkpoint checkpoint = open();
  const at::Tensor view = checkpoint.load("large");
  EXPECT_TRUE(view.equal(large));
  const size_t before = resident_pages();
  checkpoint.release("large");
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  EXPECT_LT(resident_pages() + (6 << 20) / page, before);
  EXPECT_TRUE(view.equal(large));
  EXPECT_CONTAINS(error_of([&] { checkpoint.release("none"); }), R"(no tensor "none")");
}

TEST_F(CheckpointFolder, AbsentTensorIsReportedWithTheClosestNames) {
  shard("model", {{"layers.0.q_proj.weight", at::ones({1})},
                  {"layers.0.k_proj.weight", at::ones({1})},
                  {"layers.11.q_proj.weight", at::ones({1})},
                  {"norm.weight", at::ones({1})},
                  {"embed", at::ones({1})}});
  const Checkpoint checkpoint = open();
  for (const bool load : {true, false}) {
    const auto message = error_of([&] {
      load ? void(checkpoint.load("layers.0.q_proj.weigth"))
           : void(checkpoint.stored("layers.0.q_proj.weigth"));
    });
    EXPECT_CONTAINS(message,
                    R"(no tensor "layers.0.q_proj.weigth"; closest: layers.0.q_proj.weight, )"
                    "layers.0.k_proj.weight, layers.11.q_proj.weight");
  }
}

TEST_F(CheckpointFolder, NotAModelFolderIsAnError) {
  EXPECT_CONTAINS(error_of([&] { Checkpoint c(folder_ / "none"); }), "found nothing");
  EXPECT_CONTAINS(error_of([&] { Checkpoint c(folder_ / "config.json"); }), "found a file");
}

TEST_F(CheckpointFolder, MissingConfigIsAnError) {
  weight_map(honest_);
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_CONTAINS(rejection(), "found no config.json");
}

TEST_F(CheckpointFolder, ConfigHasToBeAnObject) {
  weight_map(honest_);
  write_bytes(folder_ / "config.json", "[1]");
  EXPECT_CONTAINS(rejection(), "config.json: expected an object, found array");
  write_bytes(folder_ / "config.json", R"({"a":1,"a":2})");
  EXPECT_CONTAINS(rejection(), R"(config.json: key "a" appears twice)");
}

TEST_F(CheckpointFolder, FolderWithoutSafetensorsIsAnError) {
  EXPECT_CONTAINS(rejection(), "expected model.safetensors or model.safetensors.index.json");
  write_bytes(folder_ / "pytorch_model.bin", "");
  EXPECT_CONTAINS(rejection(), "has to be converted");
}

TEST_F(CheckpointFolder, MissingShardIsAnError) {
  weight_map(honest_ + R"(,"d":"three.safetensors")");
  EXPECT_CONTAINS(rejection(), "the shard three.safetensors is missing");
}

TEST_F(CheckpointFolder, TensorThatIsNotInItsShardIsAnError) {
  weight_map(honest_ + R"(,"d":"two.safetensors")");
  EXPECT_CONTAINS(rejection(), R"(tensor "d": expected in two.safetensors)");
  weight_map(R"("a":"one.safetensors","b":"two.safetensors","c":"two.safetensors")");
  EXPECT_CONTAINS(rejection(),
                  R"(tensor "b": expected in two.safetensors, found in one.safetensors)");
}

TEST_F(CheckpointFolder, TensorThatTheIndexDoesNotNameIsAnError) {
  weight_map(R"("a":"one.safetensors","c":"two.safetensors")", "12");
  EXPECT_CONTAINS(rejection(), R"(tensor "b": expected in no shard, found in one.safetensors)");
}

TEST_F(CheckpointFolder, TensorInTwoShardsIsAnError) {
  shard("two", {{"a", at::ones({2})}, {"c", at::ones({1})}});
  weight_map(honest_, "24");
  EXPECT_CONTAINS(rejection(),
                  R"(tensor "a": expected in one.safetensors, found in two.safetensors)");
}

TEST_F(CheckpointFolder, ShardNameThatIsAPathIsAnError) {
  std::filesystem::create_directory(folder_ / "sub");
  std::filesystem::copy(folder_ / "two.safetensors", folder_ / "sub");
  const std::string absolute = (folder_ / "two.safetensors").string();
  for (const std::string& name :
       {std::string("sub/two.safetensors"), std::string("../two.safetensors"), absolute,
        std::string("./two.safetensors"), std::string(R"(sub\\two.safetensors)"), std::string(".."),
        std::string("."), std::string(), std::string(R"(two.safetensors\u0000)"),
        std::string("C:two.safetensors")}) {
    weight_map(R"("a":"one.safetensors","b":"one.safetensors","c":")" + name + "\"");
    EXPECT_CONTAINS(rejection(), R"(tensor "c": expected the name of a file in this folder)");
  }
}

TEST_F(CheckpointFolder, TotalSizeThatAddsUpOrIsAbsentIsNotWorthAWord) {
  for (const char* good : {"16", "16.0", "1.6e1"}) {
    weight_map(honest_, good);
    EXPECT_TRUE(open().notes().empty()) << good;
  }
  for (const char* none : {R"("metadata":{},)", R"("metadata":null,)", ""}) {
    index(fmt::format(R"({{{}"weight_map":{{{}}}}})", none, honest_));
    EXPECT_TRUE(open().notes().empty()) << none;
  }
}

TEST_F(CheckpointFolder, TotalSizeThatDoesNotAddUpIsReadWithAWord) {
  for (const char* off :
       {"17", "0", "-16", "\"16\"", "16.5", "1e300", "null", "18446744073709551632", "[16]"}) {
    weight_map(honest_, off);
    const Checkpoint checkpoint = open();
    EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b", "c"})) << off;
    ASSERT_EQ(checkpoint.notes().size(), 1u) << off;
    EXPECT_CONTAINS(checkpoint.notes()[0], "model.safetensors.index.json: total_size: expected ");
    EXPECT_CONTAINS(checkpoint.notes()[0], "found 16 in the shards");
  }
}

TEST_F(CheckpointFolder, TotalSizeOfASingleFilesIndexIsNotLookedAt) {
  weight_map(honest_, "17");
  shard("model", {{"only", at::ones({1})}});
  EXPECT_TRUE(open().notes().empty());
}

TEST_F(CheckpointFolder, MalformedIndexIsAnError) {
  for (const char* text :
       {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})", R"({"weight_map":{}})",
        R"({"weight_map":{"a":"one.safetensors","a":"one.safetensors"}})"}) {
    index(text);
    EXPECT_CONTAINS(rejection(), "model.safetensors.index.json: ");
  }
}

TEST_F(CheckpointFolder, DamagedShardIsNamed) {
  weight_map(honest_);
  std::filesystem::resize_file(folder_ / "two.safetensors",
                               std::filesystem::file_size(folder_ / "two.safetensors") - 1);
  EXPECT_CONTAINS(rejection(), "two.safetensors: expected 4 bytes of data by the header, found 3");
}

TEST(GoldenCheckpoint, OpensTheDemoModel) {
  HALFTONE_REQUIRE_SHARED("models/stories260K/hf");
  const Checkpoint checkpoint(testing::shared_data("models/stories260K/hf"));
  EXPECT_EQ(checkpoint.config().at("hidden_size"), 64);
  EXPECT_EQ(checkpoint.stored("model.embed_tokens.weight").shape, (std::vector<int64_t>{512, 64}));
  EXPECT_EQ(checkpoint.stored_bytes(), 260'032u * 4);
  for (const std::string& name : checkpoint.names())
    EXPECT_TRUE(checkpoint.load(name).isfinite().all().item<bool>()) << name;
}

}  // namespace
}  // namespace halftone
