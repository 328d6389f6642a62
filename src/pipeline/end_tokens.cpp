#include "pipeline/end_tokens.h"

#include "base/error.h"
#include "base/files.h"
#include "base/place.h"
#include "checkpoint/gguf_file.h"
#include "text/json_fields.h"

namespace halftone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestConfig = size_t{16} << 20;
constexpr const char *kGenerationConfig = "generation_config.json", *kKey = "eos_token_id";

TokenId id_of(const Json& value) {
  require(value.is_number_integer() && value >= 0 && value <= INT32_MAX,
          "{}: expected a token id or a list of them, found {}", kKey, printable(value.dump()));
  return value.get<TokenId>();
}

// A number, a list, or nothing.
std::vector<TokenId> ids_in(const Json& config) {
  const auto found = config.find(kKey);
  if (found == config.end() || found->is_null()) return {};
  if (!found->is_array()) return {id_of(*found)};
  std::vector<TokenId> ids;
  for (const Json& each : *found) ids.push_back(id_of(each));
  return ids;
}

std::vector<TokenId> ids_of_file(const fs::path& path) {
  const GgufFile file(path);
  std::vector<TokenId> ids;
  for (const char* name : {"eos", "eot", "eom"})
    if (const auto id = file.metadata().whole(fmt::format("tokenizer.ggml.{}_token_id", name)))
      if (*id >= 0 && *id <= INT32_MAX) ids.push_back(static_cast<TokenId>(*id));
  return ids;
}

}  // namespace

std::vector<TokenId> end_tokens(const OpenedModel& opened) {
  if (is_gguf(opened.path)) return ids_of_file(opened.path);
  const fs::path file = opened.path / kGenerationConfig;
  if (kind_at(file) == PlaceKind::kFile) {
    const std::vector<TokenId> ids = with_path(file, [&] {
      const Json config = parse_json(read_file(file, kLargestConfig));
      require(config.is_object(), "expected an object");
      return ids_in(config);
    });
    if (!ids.empty()) return ids;
  }
  return with_path(opened.path / "config.json", [&] { return ids_in(opened.weights->config()); });
}

}  // namespace halftone
