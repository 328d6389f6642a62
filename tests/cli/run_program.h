// Runs the built halftone program and keeps what it printed.
#pragma once

#include <csignal>
#include <string>
#include <vector>

namespace halftone::testing {

struct Outcome {
  int status = -1;  // exit status; 128 + number if a signal ended it
  std::string out, err;
};

using Arguments = std::vector<std::string>;

// The program with these arguments; waits for the end.
Outcome run_halftone(const Arguments& arguments);

// The same in a fork of this process: without the second that loading libtorch takes.
Outcome run_forked(const Arguments& arguments);

// Through sh: `halftone ARGUMENTS COMMAND_TAIL`, such as "| head -n 1"
// or "> /dev/full".
Outcome run_halftone_in_shell(const std::string& arguments, const std::string& tail);

// A line of sh in which $halftone is the program.
Outcome run_shell(const std::string& line);

// Starts it, sends `signal` after `milliseconds`, waits for the end.
Outcome run_and_signal(const Arguments& arguments, int milliseconds, int signal);

}  // namespace halftone::testing
