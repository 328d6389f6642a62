#include "recipe/mix.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/closest.h"
#include "base/error.h"
#include "base/toml_keys.h"

namespace halftone {
namespace {

using Kind = MixBlocks::Kind;

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, text] : builtin_mixes()) all.push_back(name);
  return all;
}

std::string text_at(const toml::table& table, const char* key) {
  return require_string(require_key(table, key), key);
}

int64_t number_at(const toml::table& table, const char* key, int64_t least, int64_t most) {
  const toml::node& node = require_key(table, key);
  const auto number = node.value_exact<int64_t>();
  require(number && *number >= least && *number <= most,
          "{}: {}: expected a whole number from {} to {}", line_of(node), key, least, most);
  return *number;
}

// The N of "first N", or of "first 1/N".
std::optional<int64_t> number_behind(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix)) return std::nullopt;
  text.remove_prefix(prefix.size());
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end && number > 0 ? std::optional(number) : std::nullopt;
}

MixBlocks parse_blocks(const toml::table& table) {
  const std::string text = find_string(table, "blocks").value_or("");
  if (!table.contains("blocks")) return {};
  if (text == "more") return {Kind::kMore};
  if (text == "middle") return {Kind::kMiddle};
  if (const auto share = number_behind("first 1/", text)) return {Kind::kFirstShare, *share};
  if (const auto count = number_behind("first ", text)) return {Kind::kFirst, *count};
  fail("{}: blocks: expected more, middle, first N or first 1/N, found {}",
       line_of(*table.get("blocks")), printable(text));
}

std::vector<std::string> parse_tensors(const toml::table& table) {
  std::vector<std::string> tensors;
  for (const toml::node* tensor : require_list(require_key(table, "tensors"), "tensors"))
    tensors.push_back(require_string(*tensor, "tensors"));
  return tensors;
}

MixRule parse_rule(const toml::table& table) {
  require_known_keys(table, {"tensors", "blocks", "least_gqa", "type"});
  MixRule rule{.tensors = parse_tensors(table),
               .blocks = parse_blocks(table),
               .type = text_at(table, "type")};
  if (table.contains("least_gqa")) rule.least_gqa = number_at(table, "least_gqa", 1, 1024);
  return rule;
}

Mix read_mix(const toml::table& table, std::string name) {
  require_known_keys(table, {"summary", "file_type", "type", "embedding", "head", "rule"});
  Mix mix{.name = std::move(name),
          .summary = text_at(table, "summary"),
          .file_type = static_cast<uint32_t>(number_at(table, "file_type", 0, 1023)),
          .type = text_at(table, "type"),
          .embedding = find_string(table, "embedding").value_or(""),
          .head = text_at(table, "head"),
          .rules = {}};
  if (mix.embedding.empty()) mix.embedding = mix.type;
  for (const toml::table* rule : find_tables(table, "rule")) mix.rules.push_back(parse_rule(*rule));
  return mix;
}

}  // namespace

bool MixBlocks::holds(int64_t block, int64_t blocks) const {
  const int64_t eighth = blocks / 8, last = 7 * blocks / 8;
  switch (kind) {
    case Kind::kAll:
      return true;
    case Kind::kMore:
      return block < eighth || block >= last || (block - eighth) % 3 == 2;
    case Kind::kMiddle:
      return block >= eighth && block < last;
    case Kind::kFirst:
      return block < number;
    case Kind::kFirstShare:
      return block < blocks / number;
  }
  return false;
}

const std::string& Mix::type_of(std::string_view tensor, int64_t block, int64_t blocks,
                                int64_t gqa) const {
  const auto holds = [&](const MixRule& rule) {
    return std::find(rule.tensors.begin(), rule.tensors.end(), tensor) != rule.tensors.end() &&
           gqa >= rule.least_gqa && rule.blocks.holds(block, blocks);
  };
  const auto rule = std::find_if(rules.rbegin(), rules.rend(), holds);
  return rule == rules.rend() ? type : rule->type;
}

Mix parse_mix(std::string_view text, std::string name) {
  return with_context(fmt::format("mix {}", printable(name)),
                      [&] { return read_mix(parse_toml(text), name); });
}

bool is_mix(std::string_view name) {
  const auto& all = builtin_mixes();
  return std::any_of(all.begin(), all.end(), [&](const auto& mix) { return mix.first == name; });
}

Mix find_mix(const std::string& name) {
  for (const auto& [known, text] : builtin_mixes())
    if (known == name) return parse_mix(text, name);
  fail("--mix: expected one of {}, found {}{}", mix_names(), printable(name),
       did_you_mean(name, names()));
}

std::string mix_names() {
  return fmt::format("{}", fmt::join(names(), ", "));
}

}  // namespace halftone
