#include "text/vocabulary.h"

#include "base/error.h"

namespace halftone {
namespace {

// Far above any real vocabulary; bounds what a broken file can make us allocate.
constexpr int64_t kLargestId = (1 << 22) - 1;

}  // namespace

Vocabulary::Vocabulary(const Json& description) {
  require(description.is_object(), "\"vocab\": expected an object, found {}",
          description.type_name());
  ids_.reserve(description.size());
  for (const auto& [text, id] : description.items()) add(text, json_to_count(id, text));
}

Vocabulary::Vocabulary(std::span<const std::string> texts) {
  ids_.reserve(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) add(texts[id], static_cast<int64_t>(id));
}

void Vocabulary::add(const std::string& text, int64_t id) {
  if (id < 0 || id > kLargestId)
    fail("token \"{}\": id {} is outside 0..{}", printable(text), id, kLargestId);
  const auto index = static_cast<size_t>(id);
  if (index >= texts_.size()) texts_.resize(index + 1);
  const auto [at, is_new] = ids_.try_emplace(text, static_cast<TokenId>(id));
  if (!is_new && at->second != id)
    fail("token \"{}\" has two ids, {} and {}", printable(text), at->second, id);
  if (is_new && texts_[index] != nullptr)
    fail("id {} is given twice, to \"{}\" and \"{}\"", id, printable(*texts_[index]),
         printable(text));
  texts_[index] = &at->first;
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  const auto at = ids_.find(text);
  return at == ids_.end() ? std::nullopt : std::optional(at->second);
}

const std::string* Vocabulary::text(int64_t id) const {
  return id >= 0 && id < size() ? texts_[static_cast<size_t>(id)] : nullptr;
}

}  // namespace halftone
