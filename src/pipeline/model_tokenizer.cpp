#include "pipeline/model_tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/place.h"
#include "checkpoint/gguf_file.h"
#include "text/gguf_vocabulary.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

// Metadata by names without "tokenizer.ggml."; what is absent is empty.
class TokenizerKeys {
 public:
  explicit TokenizerKeys(const GgufMetadata& metadata) : metadata_(metadata) {}

  std::string text(const char* name) const {
    return std::string(metadata_.text(key(name)).value_or(""));
  }
  std::optional<int64_t> id(const char* name) const { return metadata_.whole(key(name)); }
  std::optional<bool> flag(const char* name) const { return metadata_.flag(key(name)); }
  std::vector<std::string> texts(const char* name) const {
    const auto found = metadata_.texts(key(name));
    return found ? std::vector<std::string>(found->begin(), found->end())
                 : std::vector<std::string>{};
  }
  std::vector<float> numbers(const char* name) const {
    std::vector<float> numbers;
    for (const double number : metadata_.numbers(key(name)).value_or(std::vector<double>{}))
      numbers.push_back(static_cast<float>(number));
    return numbers;
  }
  // Numbers that are no type stay none.
  std::vector<int32_t> types(const char* name) const {
    std::vector<int32_t> types;
    for (const int64_t type : metadata_.wholes(key(name)).value_or(std::vector<int64_t>{}))
      types.push_back(static_cast<int32_t>(std::clamp<int64_t>(type, -1, INT32_MAX)));
    return types;
  }

 private:
  static std::string key(const char* name) { return std::string("tokenizer.ggml.").append(name); }

  const GgufMetadata& metadata_;
};

GgufVocabulary vocabulary_of(const GgufMetadata& metadata) {
  const TokenizerKeys keys(metadata);
  require(metadata.contains("tokenizer.ggml.model"),
          "the file holds no tokenizer (tokenizer.ggml.model); expected the first part of a model");
  GgufVocabulary vocabulary;
  vocabulary.model = keys.text("model");
  vocabulary.pre = keys.text("pre");
  vocabulary.tokens = keys.texts("tokens");
  vocabulary.scores = keys.numbers("scores");
  vocabulary.types = keys.types("token_type");
  vocabulary.merges = keys.texts("merges");
  vocabulary.bos = keys.id("bos_token_id");
  vocabulary.eos = keys.id("eos_token_id");
  vocabulary.unknown = keys.id("unknown_token_id");
  vocabulary.padding = keys.id("padding_token_id");
  vocabulary.add_bos = keys.flag("add_bos_token");
  vocabulary.add_eos = keys.flag("add_eos_token");
  vocabulary.add_space_prefix = keys.flag("add_space_prefix");
  vocabulary.chat_template = metadata.text("tokenizer.chat_template").value_or("");
  return vocabulary;
}

// "" where there is no such token.
std::string token_text(const GgufVocabulary& vocabulary, const std::optional<int64_t>& id) {
  const bool known = id && *id >= 0 && *id < static_cast<int64_t>(vocabulary.tokens.size());
  return known ? vocabulary.tokens[static_cast<size_t>(*id)] : "";
}

}  // namespace

std::unique_ptr<const Tokenizer> open_model_tokenizer(const fs::path& path) {
  if (!is_gguf(path)) return open_tokenizer(path);
  const GgufFile file(path);
  return with_path(path, [&] { return open_gguf_vocabulary(vocabulary_of(file.metadata())); });
}

ChatTemplate open_model_chat(const fs::path& path) {
  if (!is_gguf(path)) return open_chat_template(path);
  const GgufFile file(path);
  return with_path(path, [&] {
    const GgufVocabulary vocabulary = vocabulary_of(file.metadata());
    require(!vocabulary.chat_template.empty(),
            "no chat template (tokenizer.chat_template); likely no model for chats");
    return ChatTemplate(vocabulary.chat_template, token_text(vocabulary, vocabulary.bos),
                        token_text(vocabulary, vocabulary.eos));
  });
}

WriteChat model_chat_writer(const fs::path& path) {
  return [path, chat = std::shared_ptr<const ChatTemplate>()](
             const std::vector<ChatTurn>& turns) mutable {
    if (!chat) chat = std::make_shared<const ChatTemplate>(open_model_chat(path));
    return chat->render_whole(turns);
  };
}

GgufExport model_vocabulary(const fs::path& path, int64_t rows) {
  return with_path(path, [&]() -> GgufExport {
    if (!is_gguf(path)) return gguf_export_of(path, rows);
    const GgufFile file(path);
    return {vocabulary_of(file.metadata()), ""};
  });
}

}  // namespace halftone
