// What a template may do to a field: "{ctx_b | capitalize}".
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace halftone {

// Text is valid UTF-8. Error: the text is not as the filter needs it.
using Filter = std::function<std::string(std::string_view text)>;

// `call` is a name, or a name and what stands behind it:
//   strip        without white space at both ends, as Python's str.strip()
//   capitalize   the first letter large, all others small, as Python's str.capitalize()
//   before TEXT  what stands before the first TEXT; after TEXT: behind it
//   hellaswag    lm-evaluation-harness's clean-up of WikiHow's markers, "[title]" and the like
// Errors: an unknown name; TEXT missing, or there without being asked for.
Filter make_filter(std::string_view call);

}  // namespace halftone
