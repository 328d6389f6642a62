#include "evaluate/text_stream.h"

#include <algorithm>
#include <utility>

namespace halftone {
namespace {

constexpr size_t kTokensBefore = 6;             // so many tell how a text goes on
constexpr std::string_view kBroken = "\ufffd";  // what decoding makes of half a character

// How many bytes at the end of a text are the begin of a stop, and no whole one.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t count = std::min(text.size(), stop.size() - 1); count > 0; --count)
    if (text.ends_with(stop.substr(0, count))) return count;
  return 0;
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::span<const TokenId> before)
    : tokenizer_(tokenizer) {
  const auto last = before.last(std::min(kTokensBefore, before.size()));
  ids_.assign(last.begin(), last.end());
  said_ = ids_.size();
}

std::string TextStream::grown(bool whole) {
  const std::string before = tokenizer_.decode(std::span(ids_).first(said_), true),
                    all = tokenizer_.decode(ids_, true);
  if ((!whole && all.ends_with(kBroken)) || all.size() <= before.size()) return "";
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<ptrdiff_t>(said_));
  said_ = ids_.size();
  return all.substr(before.size());
}

std::string TextStream::add(TokenId id) {
  ids_.push_back(id);
  return grown(false);
}

std::string TextStream::end() {
  return grown(true);
}

std::string StopSearch::add(std::string_view more) {
  held_ += more;
  for (const std::string& stop : stops_) {  // in turn, as lm-evaluation-harness cuts
    const size_t at = held_.find(stop);
    if (at == held_.npos) continue;
    held_.resize(at);
    found_ = true;
  }
  if (found_) return std::exchange(held_, {});
  size_t kept = 0;
  for (const std::string& stop : stops_) kept = std::max(kept, begun(held_, stop));
  std::string out = held_.substr(0, held_.size() - kept);
  held_.erase(0, out.size());
  return out;
}

std::string StopSearch::end() {
  return std::exchange(held_, {});
}

}  // namespace halftone
