#include "evaluate/generate.h"

#include <algorithm>
#include <list>
#include <utility>

#include "evaluate/text_stream.h"

namespace halftone {
namespace {

constexpr size_t kTextsAtOnce = 16;
constexpr int64_t kTokensPerRow = 4096;

// A text that is not finished.
class Growing {
 public:
  Growing(size_t index, const std::vector<TokenId>& prompt, const Tokenizer& tokenizer,
          const GenerationOptions& options)
      : index_(index),
        options_(options),
        chooser_(options.sampling),
        stream_(tokenizer,
                options.goes_on ? std::span<const TokenId>(prompt) : std::span<const TokenId>()),
        stops_(options.stops) {
    sequence_.ids = prompt;
  }

  size_t index() const { return index_; }
  CachedSequence& sequence() { return sequence_; }
  GeneratedText take() { return std::move(result_); }

  // Goes on by a token; returns whether the text is finished.   logits: (vocab)
  bool grow(const at::Tensor& logits, int64_t context, const GenerationEvents& events) {
    const std::optional<TokenId> id = chooser_.choose(logits);
    if (!id) return finish(Finish::kNotFinite, events);
    if (std::ranges::find(options_.ends, *id) != options_.ends.end())
      return finish(Finish::kEnd, events);
    result_.ids.push_back(*id);
    say(stops_.add(stream_.add(*id)), events);
    if (stops_.is_found()) return finish(Finish::kStop, events);
    if (static_cast<int64_t>(result_.ids.size()) >= options_.max_tokens)
      return finish(Finish::kLength, events);
    if (sequence_.length() >= context) return finish(Finish::kContext, events);
    sequence_.ids.push_back(*id);
    return false;
  }

 private:
  void say(const std::string& text, const GenerationEvents& events) {
    result_.text += text;
    if (events.grown && !text.empty()) events.grown(index_, text);
  }

  bool finish(Finish why, const GenerationEvents& events) {
    result_.finish = why;
    if (stops_.is_found()) return true;
    say(stops_.add(stream_.end()), events);
    if (!stops_.is_found()) say(stops_.end(), events);
    return true;
  }

  size_t index_;
  const GenerationOptions& options_;
  TokenChooser chooser_;
  TextStream stream_;
  StopSearch stops_;
  CachedSequence sequence_;
  GeneratedText result_;
};

}  // namespace

const char* name_of(Finish finish) {
  switch (finish) {
    case Finish::kEnd:
      return "end";
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kContext:
      return "context";
    case Finish::kNotFinite:
      return "not finite";
  }
  return "";
}

void generate(HeldModel& model, const Tokenizer& tokenizer, const GenerationOptions& options,
              std::span<const std::vector<TokenId>> prompts, const GenerationEvents& events) {
  const int64_t context = model.model().config().context;
  std::list<Growing> growing;  // whose places stay where they are
  for (size_t next = 0; next < prompts.size() || !growing.empty();) {
    int64_t tokens = 0;
    while (next < prompts.size() && growing.size() < kTextsAtOnce) {
      tokens += static_cast<int64_t>(prompts[next].size());
      if (tokens > kTokensPerRow && !growing.empty()) break;
      growing.emplace_back(next, prompts[next], tokenizer, options);
      ++next;
    }
    std::vector<CachedSequence*> row;
    for (Growing& each : growing) row.push_back(&each.sequence());
    const at::Tensor logits = model.next_logits(row);
    int64_t at = 0;
    for (auto each = growing.begin(); each != growing.end();) {
      const bool finished = each->grow(logits[at++], context, events);
      if (finished && events.finished) events.finished(each->index(), each->take());
      each = finished ? growing.erase(each) : std::next(each);
    }
    if (events.step) events.step();
  }
}

bool ends_in_a_loop(std::span<const TokenId> ids) {
  constexpr size_t kTimes = 3, kLeast = 12;
  for (size_t period = 1; kTimes * period <= ids.size(); ++period) {
    size_t same = period;  // tokens at the end that repeat with this period
    while (same < ids.size() && ids[ids.size() - 1 - same] == ids[ids.size() - 1 - same + period])
      ++same;
    if (same >= std::max(kTimes * period, kLeast)) return true;
  }
  return false;
}

}  // namespace halftone
