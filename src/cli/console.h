// Where the program's output goes: results to stdout, everything else to stderr.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace halftone {

// To stdout. A reader that has closed the pipe (`| head`) is no error; a full disk is.
void print_result(std::string_view text);

// One line to stderr.
void print_note(std::string_view line);

// Indented, with a newline at the end; bytes that are not UTF-8 are replaced.
std::string json_text(const nlohmann::json& json);

}  // namespace halftone
