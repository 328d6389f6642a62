#!/usr/bin/env python3
"""Runs the fuzz programs of build/fuzz in turn, a line of numbers a reader; fails if one found a fault.

    scripts/fuzz.py --seconds 60 [READER ...]

Each begins with what fuzz/corpus/READER holds, with files that the tests have anyway (SEEDS), and with what
earlier runs found (build/fuzz/corpus/READER). What breaks a reader is put into build/fuzz/found/READER, and
its report beside it: `build/fuzz/fuzz/fuzz_READER FILE` runs it again.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

import fuzz_seeds

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz"
MOST_SEED, MOST_INPUT = 65536, 65536  # bytes
# An allocation beyond this many MiB is a fault; what a picture may take stands in image/image.h.
ALLOCATION = {"png": 256, "jpeg": 512}
OTHERWISE = 64
# Where the words that a reader knows are found: string literals of these sources make its dictionary.
WORDS = {
    "safetensors_header": ["src/checkpoint/safetensors_header.cpp", "src/checkpoint/dtype.cpp"],
    "safetensors": ["src/checkpoint/safetensors_header.cpp", "src/checkpoint/dtype.cpp"],
    "shard_index": ["src/checkpoint/shard_index.cpp"],
    "gguf": ["src/checkpoint/gguf_header.cpp"],
    "gguf_model": ["src/checkpoint/gguf_*.cpp"],
    "imatrix": ["src/checkpoint/imatrix_file.cpp"],
    "tokenizer_json": ["src/text/*.cpp"],
    "tokenizer_model": [],
    "tokenizer_folder": ["src/text/tokenizer_settings.cpp", "src/text/chat_template.cpp"],
    "gpt2_files": ["src/text/gpt2_files.cpp"],
    "chat_template": ["src/text/jinja/*.cpp"],
    "config": ["src/model/*.cpp"],
    "recipe": ["src/recipe/*.cpp"],
    "mix": ["src/recipe/mix.cpp"],
    "png": [],
    "jpeg": [],
    "cifar": [],
    "preprocessor": ["src/image/preprocessor.cpp"],
    "task": ["src/task/*.cpp"],
    "data_rows": ["src/task/data_rows.cpp", "src/text/text_rows.cpp"],
}
ENVIRONMENT = {
    # libtorch and the libraries it loads keep what they allocate as they start: leaks are not looked for
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    # one thread: the same input takes the same way
    "OMP_NUM_THREADS": "1",
}


def dictionary(reader, path):
    """The option for the short string literals of a reader's sources, a line each; an empty file is refused."""
    words = set()
    for pattern in WORDS[reader]:
        for source in sorted(ROOT.glob(pattern)):
            words.update(re.findall(r'"([\w.|<>{}%\[\]:/+-]{2,40})"', source.read_text(encoding="utf-8")))
    path.write_text("".join(f'"{word}"\n' for word in sorted(words)), encoding="utf-8")
    return [f"-dict={path}"] if words else []


def write_seeds(reader, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, seed in enumerate(fuzz_seeds.of(reader, ROOT)):
        if len(seed) <= MOST_SEED:
            (folder / f"{number:03}").write_bytes(seed)


def run(reader, seconds):
    """Prints the reader's line; returns whether it found a fault."""
    program, found = BUILD / f"fuzz/fuzz_{reader}", BUILD / "found" / reader
    corpus, seeds, words = BUILD / "corpus" / reader, BUILD / "seeds" / reader, BUILD / f"{reader}.words"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    write_seeds(reader, seeds)
    before = set(found.iterdir())
    most = ALLOCATION.get(reader, OTHERWISE)
    command = [program, f"-max_total_time={seconds}", f"-max_len={MOST_INPUT}", "-timeout=10", f"-malloc_limit_mb={most}",
               f"-rss_limit_mb={2048 + most}", "-print_final_stats=1", *dictionary(reader, words), f"-artifact_prefix={found}/",
               corpus, ROOT / "fuzz/corpus" / reader, seeds]
    command = [part for part in command if not isinstance(part, pathlib.Path) or part.exists()]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", env=os.environ | ENVIRONMENT)
    (BUILD / f"{reader}.log").write_text(result.stderr, encoding="utf-8")
    new = sorted(path for path in set(found.iterdir()) - before if path.suffix != ".log")
    print(line(reader, result.stderr, new, result.returncode), flush=True)
    if new or result.returncode:
        report = re.search(r"(==\d+==.*|[^\n]*(?:runtime error|Assertion|terminate called).*)", result.stderr, re.DOTALL)
        (found / "last.log").write_text(report.group(0) if report else result.stderr[-4000:], encoding="utf-8")
        print(f"  {BUILD.name}/found/{reader}/last.log says what; {', '.join(path.name for path in new)}", flush=True)
    return bool(new or result.returncode)


def line(reader, log, new, status):
    def number(pattern):
        numbers = re.findall(pattern, log)
        return int(numbers[-1]) if numbers else 0
    executions, rate = number(r"number_of_executed_units: (\d+)"), number(r"average_exec_per_sec: +(\d+)")
    edges, faults = number(r"cov: (\d+)"), len(new) or int(status != 0)
    return f"{reader:<19}{executions:>12} executions {rate:>8} a second {edges:>7} edges {faults:>3} faults"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("readers", nargs="*", metavar="READER")
    arguments = parser.parse_args()
    unknown = [reader for reader in arguments.readers if reader not in WORDS]
    if unknown:
        sys.exit(f"fuzz: {unknown[0]}: expected one of {' '.join(WORDS)}")
    faults = [run(reader, arguments.seconds) for reader in arguments.readers or WORDS]
    sys.exit(1 if any(faults) else 0)


if __name__ == "__main__":
    main()
