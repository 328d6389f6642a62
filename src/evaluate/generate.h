// Texts that a model goes on with, token by token: one as it comes, or many at once.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluate/token_choice.h"
#include "model/held_model.h"
#include "text/tokenizer.h"

namespace halftone {

struct GenerationOptions {
  int64_t max_tokens = 64;
  Sampling sampling = {};               // every text draws by itself, from the seed on
  std::vector<std::string> stops = {};  // none is empty; a text ends before the first that comes
  std::vector<TokenId> ends = {};       // tokens that end a text
  // The text goes on from the prompt's, with its spaces; else it is what its tokens say by
  // themselves, as lm-evaluation-harness has it.
  bool goes_on = true;
};

enum class Finish {
  kEnd,      // a token that ends texts
  kStop,     // a text that ends them
  kLength,   // max_tokens
  kContext,  // the model's context is full
  kNotFinite
};
const char* name_of(Finish finish);  // "end", "stop", "length", "context", "not finite"

struct GeneratedText {
  std::vector<TokenId> ids;  // without the one that ends it
  std::string text;          // valid UTF-8
  Finish finish = Finish::kLength;
};

// What whoever asks for texts is told; each may be empty.
struct GenerationEvents {
  std::function<void(size_t prompt, std::string_view text)> grown;
  std::function<void(size_t prompt, GeneratedText text)> finished;
  std::function<void()> step;  // after every row
};

// Some texts at a time, in the order of their prompts; the next one begins where one has finished.
// prompts: one token at least each, and no more than the model's context.
void generate(HeldModel& model, const Tokenizer& tokenizer, const GenerationOptions& options,
              std::span<const std::vector<TokenId>> prompts, const GenerationEvents& events);

// Whether tokens end in a loop: three times the same ones or more, and twelve at least.
bool ends_in_a_loop(std::span<const TokenId> ids);

}  // namespace halftone
