#include "text/special_ids.h"

#include <algorithm>

#include "base/error.h"
#include "text/part_list.h"

namespace halftone {
namespace {

void append_ids(const Json& special_tokens, const std::string& name, std::vector<TokenId>& ids) {
  const Json& token = require_field(special_tokens, name.c_str());
  for (const Json& id : array_field(token, "ids"))
    ids.push_back(static_cast<TokenId>(std::min<int64_t>(json_to_count(id, name), INT32_MAX)));
}

// {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens":
// {"<s>": {"ids": [1]}}}
std::unique_ptr<const SpecialIds> parse_template(const Json& part) {
  auto around = std::make_unique<SpecialIds>();
  bool text_seen = false;
  for (const Json& piece : array_field(part, "single")) {
    if (const Json* special = find_field(piece, "SpecialToken")) {
      append_ids(require_field(part, "special_tokens"), string_field(*special, "id"),
                 text_seen ? around->after : around->before);
    } else {
      const std::string sequence = string_field(require_field(piece, "Sequence"), "id");
      require(sequence == "A" && !text_seen, "\"single\" must hold sequence A once");
      text_seen = true;
    }
  }
  require(text_seen, "\"single\" must hold sequence A once");
  return around;
}

// One line a kind.
constexpr PartKind<SpecialIds> kPostProcessors[] = {
    // shifts the offsets of tokens, which nobody asks for here
    {"ByteLevel", [](const Json&) { return std::make_unique<const SpecialIds>(); }},
    {"TemplateProcessing", parse_template},
};

}  // namespace

SpecialIds parse_post_processor(const Json* description) {
  SpecialIds around;
  for (const auto& part :
       parse_parts<SpecialIds>(kPostProcessors, "post_processor", "processors", description)) {
    around.before.insert(around.before.begin(), part->before.begin(), part->before.end());
    around.after.insert(around.after.end(), part->after.begin(), part->after.end());
  }
  return around;
}

}  // namespace halftone
