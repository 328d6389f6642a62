// Regular expressions as the tokenizers library reads them (Oniguruma), rewritten for ICU.
//
// The two agree on what most expressions say. Where they do not, the rewritten expression says it
// in a way that ICU reads as Oniguruma reads the original:
//   ^ $ \Z         the begin and end of every line, and a line ends at \n only; \Z
//   .  \N  \O      \n is the only character that . leaves out; (?m) lets it take that, too
//   \w \b [[:punct:]] [[:alnum:]] ...   other sets of characters
//   \h             a hexadecimal digit, not a horizontal space; \v is the vertical tab alone
//   x{2,3}+        repeats x{2,3}; x{2}? is (x{2})?; x{,2} is x{0,2}
//   - & ] { }      literal in more places
// What has no such form is refused by name. Sets were read out of tokenizers 0.22.2 and 0.23.3.
#pragma once

#include <string>
#include <string_view>

namespace halftone {

// An expression that is not complete is handed on as it is, for ICU to say what is missing.
// Error: something that ICU has no words for.
std::string icu_expression(std::string_view oniguruma);

}  // namespace halftone
