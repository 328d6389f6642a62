# Everyday commands over the CMake presets. `make` prints this list; README.md explains the set-up.
#
#   TORCH_INDEX=URL      take the torch wheel from this package index (a CPU-only or another CUDA build)
#   LIBTORCH_ROOT=DIR    use this libtorch instead of a wheel (or name its folder in CMAKE_PREFIX_PATH)
#   HALFTONE_YES=1       install missing packages without asking
#   WERROR=1             warnings are errors
#   JOBS=N  TEST_JOBS=N  compile, test with N processes
#   ROOMS="kernels text" only the tests of these rooms (test, sanitize, debug)
#   SECONDS=N READERS="gguf png"  how long each reader is fuzzed, and which

SHELL := /bin/bash
.DEFAULT_GOAL := help

CMAKE ?= $(or $(wildcard /usr/bin/cmake),cmake)
CTEST ?= $(or $(wildcard /usr/bin/ctest),ctest)
NINJA ?= $(wildcard /usr/bin/ninja)
CLANG_FORMAT ?= $(or $(wildcard /usr/bin/clang-format-14),clang-format)
JOBS ?= $(shell nproc)
TEST_JOBS ?= 2

OPTIONS := -DHALFTONE_SANITIZE=OFF -DHALFTONE_WERROR=$(if $(filter-out 0,$(WERROR)),ON,OFF) \
  $(if $(NINJA),-DCMAKE_MAKE_PROGRAM=$(NINJA)) \
  $(if $(LIBTORCH_ROOT),"-ULIBTORCH_*" "-DLIBTORCH_ROOT=$(abspath $(LIBTORCH_ROOT))")
SOURCES = $(shell find src tests bench fuzz -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

# $(call compile,PRESET,TARGETS,MORE OPTIONS)
compile = $(CMAKE) --preset $(1) $(OPTIONS) $(3) --log-level=NOTICE && $(CMAKE) --build --preset $(1) --parallel $(JOBS) --target $(2)
run_tests = $(CTEST) --test-dir build/$(1) --output-on-failure --no-tests=error -j$(TEST_JOBS)
tested_rooms = $(if $(ROOMS),"-DHALFTONE_TEST_ROOMS=$(subst $(space),;,$(strip $(ROOMS)))",-UHALFTONE_TEST_ROOMS)
space := $(subst ,, )

.PHONY: help setup build wheel deb demo test bench sanitize scalar debug chaos fuzz crosscheck crosscheck-llama format format-check check-includes check-references clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' Makefile
	@sed -n 's/^#   /  /p' Makefile

setup:  ## install what is missing: system packages (apt) and libtorch (into .venv)
	@scripts/setup.sh

build: setup  ## the program, at build/halftone
	@$(call compile,release,halftone)

wheel: setup  ## the Python wheel, in dist/: the program, what a bare system lacks, a thin module
	@$(or $(wildcard .venv/bin/python),python3) -m pip wheel --no-deps --wheel-dir dist .

deb: build  ## a Debian package, in dist/: the program with its libtorch
	@cd build/release && $(dir $(CMAKE))cpack -G DEB --config CPackConfig.cmake >cpack.log 2>&1 || { cat cpack.log >&2; exit 1; }
	@ls dist/*.deb

# several processes share the cores here: threads that wait by spinning would cost them most of their time
demo test sanitize scalar debug chaos: export OMP_WAIT_POLICY ?= passive

demo: build  ## quantize the small model in examples/ and print one table
	@scripts/demo.sh

test: setup  ## build and run the test suite, the portable kernels included
	@$(call compile,release,halftone halftone_tests,$(tested_rooms))
	@$(call run_tests,release)

bench: setup  ## build and run the benchmarks
	@$(call compile,release,halftone_benches,-DHALFTONE_BUILD_BENCH=ON)
	@scripts/bench.sh build/release/bench

sanitize: export ASAN_OPTIONS ?= detect_leaks=0
sanitize: export UBSAN_OPTIONS ?= print_stacktrace=1
sanitize: setup  ## the test suite with the program under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(call compile,release,halftone_sanitized_tests,-DHALFTONE_SANITIZE=ON $(tested_rooms))
	@$(call run_tests,release) -L sanitized

scalar: setup  ## only the tests of the portable kernels and of what stands on them
	@$(call compile,release,halftone_tests,-UHALFTONE_TEST_ROOMS)
	@$(call run_tests,release) -L portable

debug: setup  ## the test suite without optimization
	@$(call compile,$@,halftone_tests,$(tested_rooms))
	@$(call run_tests,$@)

chaos: build  ## kill runs at random moments, fill the disk, start two at once: KILLS=200
	@python3 scripts/chaos.py build/halftone --kills $(or $(KILLS),200)

fuzz: setup  ## hand damaged files to every reader under sanitizers: SECONDS=60 READERS="gguf png"
	@command -v clang++-16 >/dev/null && [[ -n "$(wildcard /usr/lib/llvm-16/lib/clang/16/lib/linux/libclang_rt.fuzzer-*.a)" ]] \
	  || { echo "fuzz: needs clang 16 with libFuzzer: sudo apt-get install clang-16 libclang-rt-16-dev libomp-16-dev" >&2; exit 1; }
	@$(call compile,fuzz,$(if $(READERS),$(READERS:%=fuzz_%),halftone_fuzzers))
	@python3 scripts/fuzz.py --seconds $(or $(SECONDS),60) $(READERS)

crosscheck: build  ## compare written and read folders with the field's own libraries
	@scripts/crosscheck.sh

crosscheck-llama: build  ## score our GGUF files in llama.cpp: MODEL=FOLDER
	@scripts/crosscheck_llama.sh "$(MODEL)"

format:  ## lay out the sources with clang-format
	@$(CLANG_FORMAT) -i $(SOURCES)

format-check:  ## are the sources laid out?
	@$(CLANG_FORMAT) --version | grep -q 'version 14\.' \
	  || { echo "format-check: needs clang-format 14 (package clang-format-14); found: $$($(CLANG_FORMAT) --version)" >&2; exit 1; }
	@$(CLANG_FORMAT) --dry-run -Werror $(SOURCES)

check-includes:  ## does every room include only what it may?
	@python3 scripts/check_includes.py src

check-references:  ## is every page and section there that a comment or a page cites?
	@python3 scripts/check_references.py

clean:  ## remove build/ (the virtual environment stays)
	@rm -rf build
