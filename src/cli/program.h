// The halftone program: one command a file, chosen in program.cpp.
#pragma once

namespace halftone {

// Exit statuses: interface.md 3. Every failure is one line on stderr.
int run_program(int argc, char** argv);

}  // namespace halftone
