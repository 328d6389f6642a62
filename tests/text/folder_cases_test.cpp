// Folders whose tokenizer is spread over several files, against transformers 4.57.6 (and 5.24.0
// where the two agree): special and added tokens, BOS and EOS.
#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "text/library_texts.h"
#include "text/tiny_tokenizer.h"

namespace halftone::testing {
namespace {

// {"from": folder, fields to replace} or the content itself.
void write_case_file(const std::filesystem::path& path, const Json& content) {
  if (content.is_string()) return write_text(path, content.get<std::string>());
  if (!content.contains("from")) return write_text(path, content.dump());
  const auto source = test_data("tokenizers") / content["from"].get<std::string>();
  const std::string original = read_file(source / path.filename());
  if (path.extension() == ".model") return write_text(path, original);
  Json whole = Json::parse(original);
  for (const auto& [key, value] : content.items())
    if (key != "from") whole[key] = value;
  write_text(path, whole.dump());
}

std::vector<Json> folder_cases() {
  return read_json_lines(test_data("tokenizers/library_folders.jsonl"));
}

void expect_library_ids(const Json& one) {
  SCOPED_TRACE(one["name"].get<std::string>());
  const TemporaryFolder folder;
  for (const auto& [name, content] : one["files"].items()) write_case_file(folder / name, content);
  std::unique_ptr<const Tokenizer> tokenizer;
  ASSERT_NO_THROW(tokenizer = open_tokenizer(folder.path()));
  for (const Json& row : one[one.contains("follows") && one.contains("later") ? "later" : "rows"]) {
    const auto text = row[0].get<std::string>();
    EXPECT_EQ(tokenizer->encode(text, false), row[1].get<Ids>()) << text;
    EXPECT_EQ(tokenizer->encode(text, true), row[2].get<Ids>()) << text;
  }
}

TEST(LibraryFolders, GiveTheLibrarysIds) {
  const auto cases = folder_cases();
  EXPECT_GT(cases.size(), 350U);
  for (const Json& one : cases) expect_library_ids(one);
}

TEST(SentencePieceFolder, AddedTokensComeBackFromTheirIds) {
  const TemporaryFolder folder;
  std::filesystem::copy(test_data("tokenizers/small_bpe/tokenizer.model"),
                        folder / "tokenizer.model");
  write_text(folder / "added_tokens.json", R"({"<|im_end|>": 420})");
  const auto tokenizer = open_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->vocabulary_size(), 421);
  EXPECT_EQ(tokenizer->piece(420), "<|im_end|>");
  const Ids ids = tokenizer->encode("Once</s> upon<|im_end|>", true);
  EXPECT_EQ(tokenizer->decode(ids, false), "<s> Once</s>  upon<|im_end|>");
  EXPECT_EQ(tokenizer->decode(ids, true), "Once  upon<|im_end|>");
  EXPECT_NE(message_of([&] { tokenizer->piece(421); }).find("token id 421"), std::string::npos);
}

TEST(SentencePieceFolder, BosThatIsNoTokenIsAnError) {
  const TemporaryFolder folder;
  std::filesystem::copy(test_data("tokenizers/small_bpe/tokenizer.model"),
                        folder / "tokenizer.model");
  write_text(folder / "tokenizer_config.json", R"({"bos_token": "<bos>"})");
  EXPECT_NE(message_of([&] { open_tokenizer(folder.path()); })
                .find("tokenizer.model: tokenizer_config.json adds bos_token \"<bos>\", which is "
                      "not in the vocabulary"),
            std::string::npos);
}

// Each settings file replaced by something else of every type: an Error that names a file, or a
// tokenizer.
TEST(HostileFolder, SettingsOfWrongTypesNeverCrash) {
  const Json values[] = {nullptr,       true,           -1,       1e300,    "", "x",
                         Json::array(), Json::object(), {1, "a"}, INT64_MAX};
  for (const char* name : {"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"})
    for (const char* key : {"bos_token", "additional_special_tokens", "extra_special_tokens", "0",
                            "added_tokens_decoder", "tokenizer_class", "legacy", "</s>"})
      for (const Json& value : values) {
        const TemporaryFolder folder;
        std::filesystem::copy(test_data("tokenizers/small_bpe/tokenizer.model"),
                              folder / "tokenizer.model");
        write_text(folder / name, Json{{key, value}}.dump());
        try {
          open_tokenizer(folder.path())->encode("a b", true);
        } catch (const Error& error) {
          const std::string message = error.what();
          EXPECT_EQ(message.find('\n'), std::string::npos) << message;
          const bool names_a_file = message.find(name) != message.npos ||
                                    message.find("tokenizer_config.json") != message.npos;
          EXPECT_TRUE(names_a_file) << message;
        }
      }
}

TEST(HostileFolder, TruncatedSettingsAreErrorsThatNameTheFile) {
  for (const char* name :
       {"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json", "config.json"}) {
    const TemporaryFolder folder;
    write_text(folder / "tokenizer.json", Json{{"model", bpe_model({"a", "b"})}}.dump());
    const std::string whole = R"({"<|im_end|>": 3, "bos_token": "a"})";
    for (size_t length = 0; length < whole.size(); ++length) {
      write_text(folder / name, whole.substr(0, length));
      const std::string message = message_of([&] { open_tokenizer(folder.path()); });
      EXPECT_NE(message.find(std::string(name) + ": not valid JSON"), std::string::npos) << message;
    }
  }
}

TEST(Gpt2Merges, AByteOrderMarkIsNoPartOfTheFirstLine) {
  const TemporaryFolder folder;
  write_text(folder / "vocab.json", "\ufeff{\"a\": 0, \"b\": 1, \"ab\": 2}");
  for (const char* merges : {"\ufeff#version: 0.2\na b\n",
                             "\ufeff"
                             "a b\n",
                             "\ufeff#version: 0.2\r\na b\r\n"}) {
    write_text(folder / "merges.txt", merges);
    EXPECT_EQ(open_tokenizer(folder.path())->encode("ab", true), (Ids{2})) << merges;
  }
}

}  // namespace
}  // namespace halftone::testing
