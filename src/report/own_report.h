// Tells what this program wrote from what it did not, so that nothing else is ever replaced.
#pragma once

#include <string_view>

namespace halftone {

// How a page of quantize_html begins.
inline constexpr std::string_view kHtmlHead =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<title>Halftone report</title>";

// Whether the text of a file is what --json or --report writes (of any command), or empty. The
// report inside an output, part of it, is not.
bool is_own_report(std::string_view text);

}  // namespace halftone
