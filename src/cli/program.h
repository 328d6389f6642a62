// The halftone program: one command a file, chosen in program.cpp.
#pragma once

namespace halftone {

// Exit statuses (docs/interface.md): 0 done; 1 the request failed; 2 the command line is wrong; 3 a
// --gate does not hold or the output did not verify; 130 interrupted. Every failure is one line on
// stderr.
int run_program(int argc, char** argv);

}  // namespace halftone
