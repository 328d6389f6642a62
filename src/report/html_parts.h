// Parts of pages that need nothing else: no file, no script, no font. Readable at a phone's width.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/run_report.h"

namespace halftone {

// A text as HTML shows it, in an attribute too.
std::string escaped(std::string_view text);

// A whole page around what stands in its body.
std::string html_page(std::string_view body);

// Cells are texts; the first row is the header. It scrolls by itself where it is too wide.
std::string html_table(const std::vector<std::vector<std::string>>& rows);
// Label and text a row, without a header.
std::string html_pairs(const std::vector<std::pair<std::string, std::string>>& rows);

// One bar a linear, as high as its relative error, in the order of the model; the name shows under
// the pointer. "" without errors.
std::string error_chart(const std::vector<LinearRow>& linears);

// Every linear with its numbers.
std::string linears_table(const std::vector<LinearRow>& linears);

}  // namespace halftone
