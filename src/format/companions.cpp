// Which files these are is what transformers (4.57 to 5.24) looks for beside a model, and what
// vLLM's and llama.cpp's tokenizers of Mistral's own files do: tekken.json, tokenizer.model.v3.
#include "format/companions.h"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "checkpoint/checkpoint.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array kNames = {
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tekken.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "chat_template.json",
    "additional_chat_templates",  // a folder of them
    "custom_generate",            // generate.py and what it needs
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
};
// tokenizer.json, tokenizer.4.0.0.json, tokenizer.model, tokenizer.model.v3, tokenizer.mm.model.v7
constexpr std::array kBeginnings = {"tokenizer."};
constexpr std::array kEndings = {".jinja", ".tiktoken"};
constexpr std::array kLegal = {"license", "licence", "notice", "copying",
                               "use_policy"};  // any case

// Files in which auto_map and custom_pipelines stand.
constexpr std::array kConfigs = {
    "config.json",           "tokenizer_config.json",    "generation_config.json",
    "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json",
};

std::string lowered(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool is_companion(const std::string& name) {
  const std::string low = lowered(name);
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](const char* part) { return name.starts_with(part); }) ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](const char* part) { return name.ends_with(part); }) ||
         std::any_of(kLegal.begin(), kLegal.end(),
                     [&](const char* part) { return low.starts_with(part); });
}

// Files and what is missing, by path: what is found twice stands once.
struct Found {
  std::set<fs::path> files;
  std::set<std::string> missing;
};

// A file, or (one level deep) the files of a folder.
void add(const fs::path& folder, const fs::path& name, bool enter, Found& found) {
  std::error_code error;
  const fs::path path = folder / name;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_regular_file(status)) {
    found.files.insert(name);
  } else if (fs::is_directory(status)) {
    if (!enter) return;
    for (const auto& entry : fs::directory_iterator(path, error))
      add(folder, name / entry.path().filename(), false, found);
  } else if (fs::is_symlink(fs::symlink_status(path, error))) {
    found.missing.insert(fmt::format("{}: a link to {}, which is not there", shown(name),
                                     shown(fs::read_symlink(path, error))));
  } else if (fs::exists(status)) {
    found.missing.insert(fmt::format("{}: neither a file nor a folder", shown(name)));
  }
}

bool is_module_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
  });
}

// "modeling_x.Model" -> modeling_x; a class of another repository ("owner/name--module.Class") has
// no file here.
void add_module_of(const json& reference, std::set<std::string>& modules) {
  if (!reference.is_string()) return;
  const auto& text = reference.get_ref<const std::string&>();
  const size_t dot = text.find('.');
  if (dot == std::string::npos || text.find("--") != std::string::npos) return;
  if (const std::string name = text.substr(0, dot); is_module_name(name)) modules.insert(name);
}

// Every string at any depth below `value` ({"AutoModel": "m.C"}, {"AutoTokenizer": ["m.C", null]},
// {"task": {"impl": "m.C", "pt": [...]}}).
void add_modules_below(const json& value, std::set<std::string>& modules) {
  add_module_of(value, modules);
  if (value.is_structured())
    for (const json& child : value) add_modules_below(child, modules);
}

void add_named_modules(const fs::path& config, std::set<std::string>& modules) {
  std::error_code error;
  if (!fs::is_regular_file(config, error)) return;
  try {
    const json content = read_json(config);
    for (const char* key : {"auto_map", "custom_pipelines"})
      if (content.is_object() && content.contains(key)) add_modules_below(content.at(key), modules);
  } catch (const Error&) {  // whoever needs the file says what is wrong with it
  }
}

// `from .module import x` and `import .module`, as transformers follows them.
std::set<std::string> imports_of(const fs::path& file) {
  std::set<std::string> modules;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, module, import;
    words >> keyword >> module >> import;
    const bool follows = (keyword == "from" && import.starts_with("import")) ||
                         (keyword == "import" && import.empty());
    if (!follows || !module.starts_with('.')) continue;
    if (const std::string name = module.substr(1); is_module_name(name)) modules.insert(name);
  }
  return modules;
}

void add_modules(const fs::path& folder, Found& found) {
  std::set<std::string> waiting, seen;
  for (const char* config : kConfigs) add_named_modules(folder / config, waiting);
  while (!waiting.empty()) {
    const std::string module = waiting.extract(waiting.begin()).value();
    if (!seen.insert(module).second) continue;
    const fs::path file = module + ".py";
    add(folder, file, false, found);
    if (found.files.contains(file)) waiting.merge(imports_of(folder / file));
  }
}

}  // namespace

Companions find_companions(const fs::path& folder) {
  Found found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const fs::path name = entry.path().filename();
    if (is_companion(name.string())) add(folder, name, true, found);
  }
  add_modules(folder, found);
  return {{found.files.begin(), found.files.end()}, {found.missing.begin(), found.missing.end()}};
}

void copy_companions(const fs::path& from, const fs::path& to) {
  for (const fs::path& file : find_companions(from).files) {
    std::error_code error;  // the file that cannot be written there says why
    if (file.has_parent_path()) fs::create_directories((to / file).parent_path(), error);
    write_file_atomically(to / file, read_file(from / file));
  }
}

json without_quantization(json config) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"})
    config.erase(key);
  return config;
}

}  // namespace halftone
