// Every case of tests/data/safetensors_cases (its README says where they come from).
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/hostile_files.h"
#include "checkpoint/safetensors.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

using testing::test_data;

nlohmann::json cases() {
  return read_json(test_data("safetensors_cases/manifest.json")).at("cases");
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

void expect_content(const SafetensorsFile& file, const nlohmann::json& expected) {
  const nlohmann::json tensors = expected.value("tensors", nlohmann::json::object());
  EXPECT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, entry] : tensors.items()) {
    const StoredTensor* tensor = file.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->dtype, entry.at("dtype"));
    EXPECT_EQ(tensor->shape, entry.at("shape").get<std::vector<int64_t>>());
    EXPECT_EQ(hex(file.bytes(*tensor)), entry.at("hex"));
  }
  const auto metadata = expected.value("metadata", nlohmann::json::object());
  EXPECT_EQ(file.metadata(), (metadata.get<std::map<std::string, std::string>>()));
}

TEST(SafetensorsCases, AcceptedFilesHoldTheTensorsOfTheReferenceLibrary) {
  int accepted = 0;
  for (const auto& entry : cases()) {
    if (entry.at("expected") != "accept" || entry.value("differs_from_design", false)) continue;
    SCOPED_TRACE(entry.at("file").get<std::string>());
    const SafetensorsFile file(
        test_data("safetensors_cases/" + entry.at("file").get<std::string>()));
    expect_content(file, entry);
    accepted += 1;
  }
  EXPECT_EQ(accepted, 26);
}

TEST(SafetensorsCases, MalformedFilesAreRejectedWithTheirName) {
  int rejected = 0;
  for (const auto& entry : cases()) {
    if (entry.at("expected") != "reject") continue;
    const auto name = entry.at("file").get<std::string>();
    SCOPED_TRACE(name);
    const auto message =
        testing::error_of([&] { SafetensorsFile file(test_data("safetensors_cases/" + name)); });
    EXPECT_CONTAINS(message, name + ": ");
    rejected += 1;
  }
  EXPECT_EQ(rejected, 62);
}

// White space and unknown fields are accepted, repeated names and metadata keys are not (formats.md
// 2).
TEST(SafetensorsCases, WhereTheLibraryIsLaxTheDesignDecides) {
  const std::map<std::string, bool> accepts{{"leading_space", true},
                                            {"unknown_field", true},
                                            {"dup_name", false},
                                            {"dup_metadata_key", false}};
  for (const auto& [name, accept] : accepts) {
    SCOPED_TRACE(name);
    const auto open = [&, &name = name] {
      SafetensorsFile file(test_data("safetensors_cases/" + name + ".safetensors"));
    };
    if (accept)
      EXPECT_NO_THROW(open());
    else
      testing::error_of(open);
  }
}

}  // namespace
}  // namespace halftone
