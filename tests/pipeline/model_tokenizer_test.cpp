// Tokenizers by way of the file that a model is in.
#include "pipeline/model_tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/gguf_bytes.h"
#include "pipeline/opened_model.h"
#include "support/fixtures.h"

namespace halftone::testing {
namespace {

using Ids = std::vector<TokenId>;

std::string f32s(const std::vector<float>& values) {
  return le<uint32_t>(9) + le<uint32_t>(6) + le<uint64_t>(values.size()) + floats(values);
}

std::string i32s(const std::vector<int32_t>& values) {
  std::string bytes = le<uint32_t>(9) + le<uint32_t>(5) + le<uint64_t>(values.size());
  for (const int32_t value : values) bytes += le(value);
  return bytes;
}

GgufBytes file_with_scores() {
  GgufBytes file;
  file.with("general.architecture", text("llama"))
      .with("tokenizer.ggml.model", text("llama"))
      .with("tokenizer.ggml.tokens", texts({"<unk>", "<s>", "</s>", "\u2581", "a", "b", "ab"}))
      .with("tokenizer.ggml.scores", f32s({0, 0, 0, -10, -11, -12, -1}))
      .with("tokenizer.ggml.token_type", i32s({2, 3, 3, 1, 1, 1, 1}))
      .with("tokenizer.ggml.bos_token_id", u32(1))
      .with("tokenizer.ggml.eos_token_id", u32(2))
      .with("tokenizer.ggml.add_eos_token", boolean(true))
      .with("tokenizer.ggml.add_space_prefix", boolean(false));
  return file;
}

GgufBytes file_with_merges() {
  GgufBytes file;
  file.with("tokenizer.ggml.model", text("gpt2"))
      .with("tokenizer.ggml.pre", text("llama-bpe"))
      .with("tokenizer.ggml.tokens", texts({"a", "b", "ab", "<s>"}))
      .with("tokenizer.ggml.token_type", i32s({1, 1, 1, 3}))
      .with("tokenizer.ggml.merges", texts({"a b"}))
      .with("tokenizer.ggml.bos_token_id", u32(3));
  return file;
}

class ModelTokenizer : public ::testing::Test {
 protected:
  std::filesystem::path write(const GgufBytes& file) {
    const auto path = folder_ / "model.gguf";
    std::ofstream(path, std::ios::binary) << file.str();
    return path;
  }
  std::string message_of_file(const GgufBytes& file) {
    const auto path = write(file);
    return message_of([&] { open_model_tokenizer(path); });
  }

  TemporaryFolder folder_;
};

TEST_F(ModelTokenizer, OfAGgufFileIsThatOfItsMetadata) {
  const auto scores = open_model_tokenizer(write(file_with_scores()));
  EXPECT_EQ(scores->encode("ab", true), (Ids{1, 6, 2}));
  const auto merges = open_model_tokenizer(write(file_with_merges()));
  EXPECT_EQ(merges->encode("ab<s>b", true), (Ids{3, 2, 3, 1}));
}

TEST_F(ModelTokenizer, OfAFolderIsThatOfItsFiles) {
  const auto tokenizer = open_model_tokenizer(test_data("tokenizers/stories260k"));
  EXPECT_EQ(tokenizer->vocabulary_size(), 512);
}

TEST_F(ModelTokenizer, MetadataThatCannotBeOneIsAnErrorThatNamesFileAndKey) {
  EXPECT_NE(message_of_file(file_with_scores().without("tokenizer.ggml.model"))
                .find("model.gguf: the file holds no tokenizer (tokenizer.ggml.model)"),
            std::string::npos);
  EXPECT_NE(message_of_file(file_with_scores().with("tokenizer.ggml.token_type", i32s({1})))
                .find("model.gguf: tokenizer.ggml.token_type: expected 7 entries"),
            std::string::npos);
  EXPECT_NE(message_of_file(file_with_merges().with("tokenizer.ggml.pre", text("new")))
                .find("model.gguf: tokenizer.ggml.pre: \"new\" is not known (known: "),
            std::string::npos);
  for (const char* key : {"model", "pre", "tokens", "token_type", "merges", "bos_token_id"}) {
    const std::string whole = std::string("tokenizer.ggml.") + key;
    EXPECT_NE(message_of_file(file_with_merges().with(whole, f32(1))).find(whole),
              std::string::npos);
  }
}

// ids by tokenizers 0.22.2
TEST(GoldenModelTokenizer, StoriesAsGgufHasTheIdsOfItsFolder) {
  HALFTONE_REQUIRE_SHARED("golden/gguf");
  const auto tokenizer =
      open_model_tokenizer(shared_data("golden/gguf/files/stories260K.F16.gguf"));
  std::ifstream rows(shared_data("golden/tokenizers/stories260k.jsonl"));
  int count = 0;
  for (std::string line; std::getline(rows, line); ++count) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>(), true),
              row["ids_special"].get<Ids>())
        << row["text"];
  }
  EXPECT_EQ(count, 426);
}

// The demo model with a chat template of one line a turn.
std::filesystem::path chat_model(const TemporaryFolder& folder, bool with_template) {
  const std::filesystem::path model = folder / (with_template ? "chat" : "plain");
  std::filesystem::copy(std::filesystem::path(HALFTONE_SOURCE_DIR) / "examples" / "stories260K",
                        model, std::filesystem::copy_options::recursive);
  if (with_template)
    std::ofstream(model / "chat_template.jinja")
        << "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
           "{% if add_generation_prompt %}assistant:{% endif %}";
  return model;
}

TEST(ReadCorpusFor, ConversationsComeAsTheModelsOwnTemplateWritesThem) {
  const TemporaryFolder folder;
  std::ofstream(folder / "rows.jsonl")
      << R"({"text": "Once upon a time"})"
      << "\n"
      << R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]})"
      << "\n";
  std::ofstream(folder / "same.txt") << "Once upon a time\n\nuser: Hi\nassistant: Yes\n";
  const OpenedModel model(chat_model(folder, true));
  EXPECT_EQ(read_corpus_for(model, folder / "rows.jsonl").ids,
            read_corpus_for(model, folder / "same.txt").ids);
}

TEST(ReadCorpusFor, ConversationsWithoutATemplateAreRefusedByTheirLine) {
  const TemporaryFolder folder;
  std::ofstream(folder / "rows.jsonl") << R"({"text": "Once upon a time"})"
                                       << "\n"
                                       << R"({"messages": [{"role": "user", "content": "Hi"}]})"
                                       << "\n";
  const OpenedModel model(chat_model(folder, false));
  const std::string message = message_of([&] { read_corpus_for(model, folder / "rows.jsonl"); });
  EXPECT_EQ(message.rfind((folder / "rows.jsonl").string() + ": line 2: ", 0), 0U) << message;
  EXPECT_NE(message.find("no chat template"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace halftone::testing
