#include "cli/run_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "cli/program.h"
#include "support/fixtures.h"

namespace halftone::testing {
namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void redirect(const std::string& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::dup2(file, descriptor);
  ::close(file);
}

using Entry = int (*)(std::vector<char*>& words);

int execute(std::vector<char*>& words) {
  ::execv(words[0], words.data());
  return 127;
}

int call(std::vector<char*>& words) {
  const int status = run_program(static_cast<int>(words.size()) - 1, words.data());
  std::cout.flush();
  std::fflush(nullptr);
  return status;
}

pid_t start(Entry entry, const Arguments& words, const std::string& out, const std::string& err) {
  std::vector<char*> raw;
  for (const std::string& word : words) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  redirect(out, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  ::_exit(entry(raw));
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

template <class WhileItRuns>
Outcome run(Entry entry, const Arguments& words, WhileItRuns&& while_it_runs) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  const pid_t child = start(entry, words, out, err);
  while_it_runs(child);
  const int status = wait_for(child);
  return {status, content_of(out), content_of(err)};
}

// the one that is built beside the tests, unless the environment names another (the program under
// sanitizers)
std::string program() {
  const char* named = std::getenv("HALFTONE_PROGRAM");
  return named ? named : HALFTONE_PROGRAM;
}

Arguments with_program(const Arguments& arguments) {
  Arguments words = {program()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

}  // namespace

Outcome run_halftone(const Arguments& arguments) {
  return run(execute, with_program(arguments), [](pid_t) {});
}

Outcome run_forked(const Arguments& arguments) {
  return run(call, with_program(arguments), [](pid_t) {});
}

Outcome run_halftone_in_shell(const std::string& arguments, const std::string& tail) {
  return run_shell("$halftone " + arguments + " " + tail);
}

Outcome run_shell(const std::string& line) {
  return run(execute, {"/bin/sh", "-c", "halftone='" + program() + "'; export halftone; " + line},
             [](pid_t) {});
}

Outcome run_and_signal(const Arguments& arguments, int milliseconds, int signal) {
  return run(execute, with_program(arguments), [&](pid_t child) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(child, signal);
  });
}

}  // namespace halftone::testing
