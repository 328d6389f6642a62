// Where the program's output goes: results to stdout, everything else to stderr.
#pragma once

#include <filesystem>
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

// The target of --json and --report: "-" is stdout, else a file that appears complete or not at
// all.
void write_text(const std::string& target, std::string_view text);

// Before long work: Error if the target's folder does not exist or the target is a folder.
void check_target(const std::string& target);

}  // namespace halftone
