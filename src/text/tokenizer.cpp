#include "text/tokenizer.h"

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "text/gpt2_files.h"
#include "text/hf_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/tokenizer_settings.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

bool looks_like_json(std::string_view content) {
  const size_t first = content.find_first_not_of(" \t\r\n");
  return first != content.npos && content[first] == '{';
}

fs::path tokenizer_file(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (fs::exists(folder / name)) return folder / name;
  const bool has_pair = fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt");
  require(has_pair,
          "no tokenizer in this folder: expected tokenizer.json, tokenizer.model, or vocab.json "
          "with merges.txt");
  return folder / "vocab.json";
}

std::unique_ptr<const Tokenizer> open_file(const fs::path& path,
                                           const TokenizerSettings& settings) {
  const MappedFile file(path);
  if (path.extension() != ".json" && !looks_like_json(file.text()))
    return open_sentencepiece(path, settings);
  return std::make_unique<HfTokenizer>(parse_json(file.text()), settings);
}

std::unique_ptr<const Tokenizer> open_gpt2_files(const fs::path& folder,
                                                 const TokenizerSettings& settings) {
  return std::make_unique<HfTokenizer>(read_gpt2_files(folder, settings), gpt2_settings(settings));
}

}  // namespace

std::unique_ptr<const Tokenizer> open_tokenizer(const fs::path& path) {
  const fs::path file = with_path(path, [&] {
    require(fs::exists(path), "no such file or folder");
    return fs::is_directory(path) ? tokenizer_file(path) : path;
  });
  const fs::path folder = file.parent_path();
  const TokenizerSettings settings = read_tokenizer_settings(folder);
  const bool is_pair = file.filename() == "vocab.json";
  return with_path(is_pair ? folder : file, [&] {
    return is_pair ? open_gpt2_files(folder, settings) : open_file(file, settings);
  });
}

}  // namespace halftone
