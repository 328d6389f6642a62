#include "cli/program.h"

int main(int argc, char** argv) {
  return halftone::run_program(argc, argv);
}
