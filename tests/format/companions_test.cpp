#include "format/companions.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "support/fixtures.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using ::halftone::testing::TemporaryFolder;

void put(const fs::path& path, const std::string& content = "x") {
  fs::create_directories(path.parent_path());
  write_file_atomically(path, content);
}

std::vector<std::string> found_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& file : find_companions(folder).files) names.push_back(file.string());
  return names;
}

using Names = std::vector<std::string>;

TEST(Companions, AreEveryTokenizersFilesAndNoWeights) {
  const TemporaryFolder folder;
  const Names travel = {"LICENSE.llama",        "Notice.txt",          "USE_POLICY.md",
                        "added_tokens.json",    "chat_template.jinja", "generation_config.json",
                        "merges.txt",           "qwen.tiktoken",       "tekken.json",
                        "tokenizer.4.0.0.json", "tokenizer.json",      "tokenizer.mm.model.v7",
                        "tokenizer.model",      "tokenizer.model.v3",  "tokenizer_config.json",
                        "tool_use.jinja",       "vocab.json"};
  for (const std::string& name : travel) put(folder / name);
  for (const char* stays : {"config.json", "model.safetensors", "pytorch_model.bin", "README.md",
                            "params.json", "quantize_config.json", "train.py", "sub/merges.txt"})
    put(folder / stays);
  EXPECT_EQ(found_in(folder.path()), travel);
  EXPECT_TRUE(find_companions(folder.path()).missing.empty());
}

TEST(Companions, FoldersOfTemplatesTravelWithTheirFiles) {
  const TemporaryFolder from, to;
  put(from / "additional_chat_templates/tool.jinja", "a");
  put(from / "additional_chat_templates/deeper/other.jinja");
  put(from / "custom_generate/generate.py", "b");
  EXPECT_EQ(found_in(from.path()),
            (Names{"additional_chat_templates/tool.jinja", "custom_generate/generate.py"}));
  copy_companions(from.path(), to.path());
  EXPECT_EQ(read_file(to / "additional_chat_templates/tool.jinja"), "a");
  EXPECT_EQ(read_file(to / "custom_generate/generate.py"), "b");
}

TEST(Companions, PythonFilesTravelThatAConfigNamesAndWhatTheyImport) {
  const TemporaryFolder folder;
  put(folder / "config.json", R"({"auto_map": {"AutoConfig": "configuration_x.X",
      "AutoModel": "owner/name--modeling_other.Y", "AutoModelForCausalLM": "gone.Z"},
      "custom_pipelines": {"task": {"impl": "pipeline_x.P", "pt": ["AutoModel"]}}})");
  put(folder / "tokenizer_config.json",
      R"({"auto_map": {"AutoTokenizer": ["tokenization_x.T", null]}})");
  put(folder / "processor_config.json", "not JSON");
  put(folder / "configuration_x.py", "import os\n  from .deep import (A,\n   B)\n");
  put(folder / "deep.py", "import .deeper \nfrom .configuration_x import X\nfrom . import no\n");
  for (const char* name : {"deeper.py", "tokenization_x.py", "pipeline_x.py", "modeling_other.py",
                           "no.py", "unrelated.py"})
    put(folder / name);
  EXPECT_EQ(found_in(folder.path()),
            (Names{"configuration_x.py", "deep.py", "deeper.py", "pipeline_x.py",
                   "processor_config.json", "tokenization_x.py", "tokenizer_config.json"}));
  EXPECT_TRUE(find_companions(folder.path()).missing.empty());
}

TEST(Companions, ANameThatLeadsOutOfTheFolderIsNoModule) {
  const TemporaryFolder folder;
  put(folder / "secret.py");
  put(folder / "model/config.json",
      R"({"auto_map": {"a": "../secret.X", "b": "/etc/hosts.X", "c": 3, "d": ["", null, {}]}})");
  EXPECT_TRUE(found_in(folder / "model").empty());
}

TEST(Companions, LinksAreFollowedAndBrokenOnesNamed) {
  const TemporaryFolder folder;
  put(folder / "blobs/1", "content");
  fs::create_directory(folder / "model");
  fs::create_symlink("../blobs/1", folder / "model/tokenizer.json");
  put(folder / "model/config.json", R"({"auto_map": {"AutoConfig": "configuration_x.X"}})");
  for (const char* broken : {"tokenizer.model", "LICENSE", "additional_chat_templates",
                             "configuration_x.py", "model.safetensors"})
    fs::create_symlink("gone", folder / "model" / broken);
  const Companions companions = find_companions(folder / "model");
  EXPECT_EQ(found_in(folder / "model"), Names{"tokenizer.json"});
  EXPECT_EQ(companions.missing, (Names{"LICENSE: a link to gone, which is not there",
                                       "additional_chat_templates: a link to gone, which is not "
                                       "there",
                                       "configuration_x.py: a link to gone, which is not there",
                                       "tokenizer.model: a link to gone, which is not there"}));
  copy_companions(folder / "model", folder / "blobs");
  EXPECT_FALSE(fs::is_symlink(folder / "blobs/tokenizer.json"));
  EXPECT_EQ(read_file(folder / "blobs/tokenizer.json"), "content");
}

}  // namespace
}  // namespace halftone
