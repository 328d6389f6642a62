// Answers in generated texts: found, and compared with the right one, as lm-evaluation-harness
// does.
#pragma once

#include <string>

#include "task/task.h"

namespace halftone {

inline constexpr const char* kNoAnswer = "[invalid]";

// What is found in a text, stripped, or kNoAnswer. Error: the search needs too many steps.
std::string extracted(const AnswerExtraction& extraction, const std::string& text);

// Whether both are the same without what the task ignores, in small letters.
bool same_answer(const AnswerRules& rules, const std::string& found, const std::string& right);

}  // namespace halftone
