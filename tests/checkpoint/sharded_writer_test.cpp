#include <ATen/ATen.h>

#include <set>

#include "checkpoint/checkpoint.h"
#include "checkpoint/hostile_files.h"
#include "checkpoint/safetensors.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

std::set<std::string> files_in(const TemporaryFolder& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.insert(entry.path().filename().string());
  return names;
}

// 40 bytes.
at::Tensor ten_floats(float value) {
  return at::full({10}, value);
}

void write_five(const TemporaryFolder& folder, size_t shard_bytes) {
  ShardedWriter writer(folder.path(), {{"format", "pt"}}, shard_bytes);
  for (int i = 0; i < 5; ++i) writer.add(fmt::format("t{}", i), ten_floats(static_cast<float>(i)));
  writer.finish();
}

TEST(ShardedWriter, WhatFitsIsOneFileWithoutIndex) {
  const TemporaryFolder folder;
  write_five(folder, 200);
  EXPECT_EQ(files_in(folder), (std::set<std::string>{"model.safetensors"}));
  EXPECT_EQ(SafetensorsFile(folder / "model.safetensors").tensors().size(), 5u);
}

TEST(ShardedWriter, ShardsHoldAtMostTheLimitAndTheIndexTellsWhere) {
  const TemporaryFolder folder;
  write_five(folder, 80);
  EXPECT_EQ(
      files_in(folder),
      (std::set<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                             "model-00003-of-00003.safetensors", "model.safetensors.index.json"}));
  const auto index = read_json(folder / "model.safetensors.index.json");
  EXPECT_EQ(index.at("metadata").at("total_size"), 200);
  EXPECT_EQ(index.at("weight_map").size(), 5u);
  EXPECT_EQ(index.at("weight_map").at("t1"), "model-00001-of-00003.safetensors");
  EXPECT_EQ(index.at("weight_map").at("t2"), "model-00002-of-00003.safetensors");
  EXPECT_EQ(index.at("weight_map").at("t4"), "model-00003-of-00003.safetensors");
}

TEST(ShardedWriter, ShardsOpenAsACheckpoint) {
  const TemporaryFolder folder;
  write_five(folder, 80);
  testing::write_bytes(folder / "config.json", "{}");
  const Checkpoint checkpoint(folder.path());
  EXPECT_EQ(checkpoint.stored_bytes(), 200u);
  EXPECT_EQ(checkpoint.metadata().at("format"), "pt");
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(checkpoint.load(fmt::format("t{}", i)).equal(ten_floats(static_cast<float>(i))));
}

TEST(ShardedWriter, TensorAboveTheLimitGetsAShardOfItsOwn) {
  const TemporaryFolder folder;
  ShardedWriter writer(folder.path(), {}, 50);
  writer.add("small", at::ones({2}));
  writer.add("large", at::ones({100}));
  writer.add("last", at::ones({2}));
  writer.finish();
  const SafetensorsFile second(folder / "model-00002-of-00003.safetensors");
  ASSERT_EQ(second.tensors().size(), 1u);
  EXPECT_EQ(second.tensors()[0].name, "large");
}

// What is handed over may be overwritten, or freed, at once.
TEST(ShardedWriter, TensorsAreWrittenAsTheyWereWhenTheyCame) {
  const TemporaryFolder folder;
  ShardedWriter writer(folder.path(), {});
  at::Tensor reused = at::empty({3 << 20}, at::kFloat);  // more than is copied at once
  for (int i = 0; i < 3; ++i) {
    reused.fill_(i);
    reused[i] = -1;
    writer.add(fmt::format("t{}", i), reused);
  }
  writer.finish();
  const SafetensorsFile file(folder / "model.safetensors");
  for (int i = 0; i < 3; ++i) {
    const at::Tensor expected = at::full({3 << 20}, static_cast<float>(i));
    expected[i] = -1;
    EXPECT_TRUE(file.view(*file.find(fmt::format("t{}", i))).equal(expected));
  }
}

TEST(ShardedWriter, SameInputGivesTheSameBytes) {
  const TemporaryFolder one, two;
  write_five(one, 80);
  write_five(two, 80);
  for (const std::string& name : files_in(one))
    EXPECT_EQ(read_file(one / name), read_file(two / name)) << name;
}

TEST(ShardedWriter, NothingAddedGivesAFileWithoutTensors) {
  const TemporaryFolder folder;
  ShardedWriter(folder.path(), {}).finish();
  EXPECT_TRUE(SafetensorsFile(folder / "model.safetensors").tensors().empty());
}

TEST(ShardedWriter, StridedTensorIsStoredInRowOrder) {
  const TemporaryFolder folder;
  const at::Tensor matrix = at::arange(6).reshape({2, 3});
  ShardedWriter writer(folder.path(), {});
  writer.add("t", matrix.t());
  writer.finish();
  const SafetensorsFile file(folder / "model.safetensors");
  EXPECT_TRUE(file.view(file.tensors()[0]).equal(matrix.t()));
}

TEST(ShardedWriter, UnfinishedWriterLeavesNothing) {
  const TemporaryFolder folder;
  {
    ShardedWriter writer(folder.path(), {}, 40);
    writer.add("a", ten_floats(1));
    writer.add("b", ten_floats(2));
    EXPECT_EQ(files_in(folder).size(), 1u);  // the first shard
    EXPECT_FALSE(files_in(folder).contains("model.safetensors"));
  }
  EXPECT_TRUE(files_in(folder).empty());
}

TEST(ShardedWriter, RefusesANameTwiceAlsoAcrossShards) {
  const TemporaryFolder folder;
  ShardedWriter writer(folder.path(), {}, 40);
  writer.add("a", ten_floats(1));
  writer.add("b", ten_floats(2));
  EXPECT_CONTAINS(error_of([&] { writer.add("a", ten_floats(3)); }), R"("a": written twice)");
  EXPECT_CONTAINS(error_of([&] { writer.add("c", at::ones({1}, at::kComplexDouble)); }),
                  "no dtype");
}

}  // namespace
}  // namespace halftone
