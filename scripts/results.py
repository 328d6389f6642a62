#!/usr/bin/env python3
"""A table of docs/results.md: quantizes a model as every row of TABLE says and evaluates all of them.

    results.py TABLE MODEL_FOLDER TEXT_FOLDER [OUT_FOLDER]

TABLE is a file of scripts/tables/: the protocol, and a line of `halftone quantize` options for each row; with [[axes]] there
is a row for every choice of one entry from each, the last varying fastest. TEXT_FOLDER holds the texts that it names (a list
of them is joined); `part` is a stretch of each, as shares of its characters. With several `seeds` a row is run once for each
draw of calibration windows and printed as their mean. OUT_FOLDER (default build/results/NAME_OF_TABLE) gets JSON files; runs
that have theirs, by the same protocol and options, are not run again. A run that fails is named, and the others go on.
HALFTONE names the program (default build/halftone), DEVICE the device (default cpu), JOBS how many runs share the cores and
the device at a time (default 1).
"""
import concurrent.futures
import itertools
import json
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys
import tomllib
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS_AT_ONCE = 8  # quantized models that wait on disk until they are evaluated together


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rows_of(spec):
    """The options of each row by its name."""
    combinations = itertools.product(*(axis.items() for axis in spec.get("axes", [])))
    combined = {", ".join(name for name, _ in entries): " ".join(options for _, options in entries if options)
                for entries in combinations if entries}
    return {**spec.get("rows", {}), **combined}


def cut_text(spec, texts, out):
    """The part of the texts that `spec` names, as a file in `out`."""
    names = [spec["text"]] if isinstance(spec["text"], str) else spec["text"]
    begin, end = spec.get("part", [0, 1])
    cuts = []
    for name in names:
        text = (texts / name).read_text(encoding="utf-8")
        cuts.append(text[int(begin * len(text)):int(end * len(text))])
    path = out / f"{'-'.join(pathlib.Path(name).stem for name in names)}-{begin}-{end}.txt"
    path.write_text("".join(cuts), encoding="utf-8")
    return path


def cpu_seconds_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Failed(Exception):
    """A command that did not end well."""


class Run(typing.NamedTuple):
    """A row with one draw of calibration windows."""
    row: str
    seed: int
    name: str  # of its files


class Table:
    def __init__(self, spec, model, texts, out):
        self.spec, self.rows, self.model, self.out = spec, rows_of(spec), model, out
        self.device, self.jobs = os.environ.get("DEVICE", "cpu"), jobs()
        self.threads = 0 if self.jobs == 1 else max(1, os.cpu_count() // self.jobs)
        self.seeds = spec["calibration"].get("seeds", [0])
        self.calibration = cut_text(spec["calibration"], texts, out)
        self.texts = {name: cut_text(text, texts, out) for name, text in spec["texts"].items()}

    def runs_of(self, row):
        return [Run(row, seed, row if len(self.seeds) == 1 else f"{row}, seed {seed}") for seed in self.seeds]

    def halftone(self, *arguments):
        program = os.environ.get("HALFTONE", ROOT / "build/halftone")
        shared = ("--device", self.device, "--threads", self.threads)
        command = [str(part) for part in (program, *arguments, *shared)]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            raise Failed(shlex.join(command))

    def output(self, run):
        words = self.rows[run.row].split()
        return self.out / (run.name + ".gguf" * any(word in ("--type", "--mix") for word in words))

    def quantize(self, run):
        row = self.rows[run.row].split()
        for old in [f"{run.name}.asked.json", *(self.result(run.name, text).name for text in self.texts)]:
            (self.out / old).unlink(missing_ok=True)
        size = [["--" + key, self.spec["calibration"][key]] for key in ("sequences", "length") if "--" + key not in row]
        before = cpu_seconds_of_children()
        self.halftone("quantize", self.model, "--out", self.output(run), "--overwrite", "--seed", run.seed,
                      "--calibration", self.calibration, *sum(size, []), "--report", self.out / f"{run.name}.quantize.json",
                      "--no-check",  # it is evaluated anyway, and may be as bad as it is
                      *self.spec["options"].split(), *row)
        if self.jobs == 1:  # children of several runs cannot be told apart
            seconds = cpu_seconds_of_children() - before
            (self.out / f"{run.name}.cpu.json").write_text(json.dumps(seconds), encoding="utf-8")
        self.keep_asked(run.row, run.name)

    def keep_asked(self, row, name):
        (self.out / f"{name}.asked.json").write_text(json.dumps(self.asked(row)), encoding="utf-8")

    def evaluate(self, runs):
        names = [run.name for run in runs]
        for text, path in self.texts.items():
            together = self.out / f"{text}.{names[0]}.together.json"
            self.halftone("compare", self.model, *map(self.output, runs), "--text", path,
                          "--length", self.spec["evaluation"]["length"], "--windows", self.spec["texts"][text]["windows"],
                          "--compute", self.spec["evaluation"]["compute"], "--json", together)
            for name, result in zip(["full precision", *names], read(together)):
                self.result(name, text).write_text(json.dumps(result), encoding="utf-8")
            together.unlink()
        self.keep_asked("", "full precision")

    def result(self, name, text):
        return self.out / f"{name}.{text}.json"

    def asked(self, row):
        """All that a row's numbers depend on."""
        return {"row": self.rows.get(row, ""), **{key: value for key, value in self.spec.items() if key not in ("rows", "axes")}}

    def is_current(self, row, name):
        path = self.out / f"{name}.asked.json"
        return path.exists() and read(path) == self.asked(row)

    def is_done(self, row, name):
        return self.is_current(row, name) and all(self.result(name, text).exists() for text in self.texts)

    def run(self):
        """Runs what is not there yet, all rows with the first seed before any with the second. Returns what failed."""
        by_seed = zip(*(self.runs_of(row) for row in self.rows))
        waiting = [run for runs in by_seed for run in runs if not self.is_done(run.row, run.name)]
        size = max(1, min(RUNS_AT_ONCE, len(waiting) // self.jobs))
        batches = [waiting[first:first + size] for first in range(0, len(waiting), size)]
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            return [failure for failures in pool.map(self.run_batch, batches) for failure in failures]

    def run_batch(self, runs):
        failures, quantized = [], []
        for run in runs:
            try:
                if not (self.is_current(run.row, run.name) and self.output(run).exists()):
                    print(f"quantize {run.name}", file=sys.stderr)
                    self.quantize(run)
                quantized.append(run)
            except Failed as failure:
                failures.append(str(failure))
        if quantized:
            print("evaluate " + "; ".join(run.name for run in quantized), file=sys.stderr)
            try:
                self.evaluate(quantized)
            except Failed as failure:  # what is quantized waits for the next call
                return [*failures, str(failure)]
        for output in map(self.output, quantized):
            output.unlink() if output.is_file() else shutil.rmtree(output)
        return failures

    def print(self):
        calibration, evaluation = self.spec["calibration"], self.spec["evaluation"]
        windows = ", ".join(f"{name} {text['windows']}" for name, text in self.spec["texts"].items())
        draws = f", mean of {len(self.seeds)} draws" if len(self.seeds) > 1 else ""
        print(f"Calibration {calibration['sequences']} x {calibration['length']} tokens{draws}; evaluation in {evaluation['compute']}, "
              f"windows of {evaluation['length']}: {windows}. KL and top-1 on {list(self.texts)[-1]}.\n")
        columns = ["row", "bits quoted / stored", "MiB", *self.texts, "KL mean", "KL p99", "top-1 %", "CPU s"]
        columns += ["KL of each draw"] if len(self.seeds) > 1 else []
        print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
        for row in ["full precision", *self.rows]:
            names = [row] if row == "full precision" else [run.name for run in self.runs_of(row)]
            names = [name for name in names if self.is_done(row, name)]
            if names:
                cells = self.cells(row, names)
                print("| " + " | ".join(cells + [""] * (len(columns) - len(cells))) + " |")

    def cells(self, row, names):
        results = [[read(self.result(name, text)) for name in names] for text in self.texts]
        perplexities = [with_error([result["perplexity"] for result in of_text]) for of_text in results]
        last = results[-1]
        size = f"{last[0]['bytes'] / 2**20:.1f}"
        if "kl" not in last[0]:
            return [row, "", size, *perplexities, "0", "0", "100"]
        bits, kls = last[0]["bits_per_weight"], [result["kl"] for result in last]
        times = [read(path) for path in (self.out / f"{name}.cpu.json" for name in names) if path.exists()]
        cells = [row, f"{bits['quoted']:.2f} / {bits['quantized']:.2f}", size, *perplexities,
                 f"{mean(kl['mean'] for kl in kls):.3f} ± {mean(kl['stderr'] for kl in kls):.3f}", f"{mean(kl['p99'] for kl in kls):.2f}",
                 with_error([result["top1"] for result in last], 100), f"{mean(times):.0f}" if times else ""]
        return cells + ([" ".join(f"{kl['mean']:.3f}" for kl in kls)] if len(self.seeds) > 1 else [])


def jobs():
    text = os.environ.get("JOBS", "1")
    if not text.isdecimal() or int(text) == 0:
        sys.exit(f"JOBS={text}: expected a number of runs at a time, 1 or more")
    return int(text)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def with_error(estimates, scale=1):
    value, error = (scale * mean(estimate[key] for estimate in estimates) for key in ("value", "stderr"))
    digits = 1 if value >= 100 or scale == 100 else 2
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[4]) if len(sys.argv) == 5 else ROOT / "build/results" / path.stem
    out.mkdir(parents=True, exist_ok=True)
    table = Table(tomllib.loads(path.read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), out)
    failures = table.run()
    table.print()
    if failures:
        sys.exit("failed:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
