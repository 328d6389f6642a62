#!/usr/bin/env python3
"""A table of docs/results.md: quantizes a model as every row of TABLE says and evaluates all of them.

    results.py TABLE MODEL_FOLDER TEXT_FOLDER [OUT_FOLDER]

TABLE is a file of scripts/tables/: the protocol, and a line of `halftone quantize` options for each row. TEXT_FOLDER holds the
texts that it names; `part` is a stretch of one, as shares of its characters. OUT_FOLDER (default build/results/NAME_OF_TABLE)
gets JSON files; rows that have theirs, by the same protocol and options, are not run again. HALFTONE names the program
(default build/halftone), DEVICE the device (default cpu).
"""
import json
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS_AT_ONCE = 8  # quantized models that wait on disk until they are evaluated together


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def cut_text(spec, texts, out):
    """The part of a text that `spec` names, as a file in `out`."""
    text = (texts / spec["text"]).read_text(encoding="utf-8")
    begin, end = (int(share * len(text)) for share in spec.get("part", [0, 1]))
    path = out / f"{pathlib.Path(spec['text']).stem}-{begin}-{end}.txt"
    path.write_text(text[begin:end], encoding="utf-8")
    return path


def halftone(*arguments):
    program = os.environ.get("HALFTONE", ROOT / "build/halftone")
    command = [str(part) for part in (program, *arguments)]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
        sys.exit("failed: " + shlex.join(command))


def cpu_seconds_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Table:
    def __init__(self, spec, model, texts, out):
        self.spec, self.model, self.out = spec, model, out
        self.device = os.environ.get("DEVICE", "cpu")
        self.calibration = cut_text(spec["calibration"], texts, out)
        self.texts = {name: cut_text(text, texts, out) for name, text in spec["texts"].items()}

    def quantize(self, name):
        row = self.spec["rows"][name].split()
        for old in [f"{name}.asked.json", *(self.result(name, text).name for text in self.texts)]:
            (self.out / old).unlink(missing_ok=True)
        size = [["--" + key, self.spec["calibration"][key]] for key in ("sequences", "length") if "--" + key not in row]
        before = cpu_seconds_of_children()
        halftone("quantize", self.model, "--out", self.out / name, "--overwrite", "--device", self.device,
                 "--calibration", self.calibration, *sum(size, []), "--report", self.out / f"{name}.quantize.json",
                 *self.spec["options"].split(), *row)
        (self.out / f"{name}.cpu.json").write_text(json.dumps(cpu_seconds_of_children() - before), encoding="utf-8")
        self.keep_asked(name)

    def keep_asked(self, name):
        (self.out / f"{name}.asked.json").write_text(json.dumps(self.asked(name)), encoding="utf-8")

    def evaluate(self, names):
        for text, path in self.texts.items():
            together = self.out / f"{text}.json"
            halftone("compare", self.model, *[self.out / name for name in names], "--text", path, "--device", self.device,
                     "--length", self.spec["evaluation"]["length"], "--windows", self.spec["texts"][text]["windows"],
                     "--compute", self.spec["evaluation"]["compute"], "--json", together)
            for name, result in zip(["full precision", *names], read(together)):
                self.result(name, text).write_text(json.dumps(result), encoding="utf-8")
            together.unlink()
        self.keep_asked("full precision")

    def result(self, name, text):
        return self.out / f"{name}.{text}.json"

    def asked(self, name):
        """All that a row's numbers depend on."""
        return {"row": self.spec["rows"].get(name, ""), **{key: value for key, value in self.spec.items() if key != "rows"}}

    def is_current(self, name):
        path = self.out / f"{name}.asked.json"
        return path.exists() and read(path) == self.asked(name)

    def is_done(self, name):
        return self.is_current(name) and all(self.result(name, text).exists() for text in self.texts)

    def run(self):
        waiting = [name for name in self.spec["rows"] if not self.is_done(name)]
        for first in range(0, len(waiting), ROWS_AT_ONCE):
            names = waiting[first:first + ROWS_AT_ONCE]
            for name in names:
                if not (self.is_current(name) and (self.out / name).exists()):
                    print(f"quantize {name}", file=sys.stderr)
                    self.quantize(name)
            print("evaluate " + " ".join(names), file=sys.stderr)
            self.evaluate(names)
            for name in names:
                shutil.rmtree(self.out / name)

    def print(self):
        calibration, evaluation = self.spec["calibration"], self.spec["evaluation"]
        windows = ", ".join(f"{name} {text['windows']}" for name, text in self.spec["texts"].items())
        print(f"Calibration {calibration['sequences']} x {calibration['length']} tokens; evaluation in {evaluation['compute']}, "
              f"windows of {evaluation['length']}: {windows}. KL and top-1 on {list(self.texts)[-1]}.\n")
        print("| row | bits quoted / stored | " + " | ".join(self.texts) + " | KL mean | KL p99 | top-1 % | CPU s |")
        print("|---" * (6 + len(self.texts)) + "|")
        for name in ["full precision", *self.spec["rows"]]:
            if self.is_done(name):
                print(self.row_text(name))

    def row_text(self, name):
        results = [read(self.result(name, text)) for text in self.texts]
        perplexities = " | ".join(with_error(result["perplexity"]) for result in results)
        last = results[-1]
        if "kl" not in last:
            return f"| {name} | | {perplexities} | 0 | 0 | 100 | |"
        bits, kl = last["bits_per_weight"], last["kl"]
        seconds = read(self.out / f"{name}.cpu.json")
        return (f"| {name} | {bits['quoted']:.2f} / {bits['quantized']:.2f} | {perplexities} | {kl['mean']:.3f} ± {kl['stderr']:.3f} "
                f"| {kl['p99']:.2f} | {with_error(last['top1'], 100)} | {seconds:.0f} |")


def with_error(estimate, scale=1):
    value, error = scale * estimate["value"], scale * estimate["stderr"]
    digits = 1 if value >= 100 or scale == 100 else 2
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[4]) if len(sys.argv) == 5 else ROOT / "build/results" / path.stem
    out.mkdir(parents=True, exist_ok=True)
    table = Table(tomllib.loads(path.read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), out)
    table.run()
    table.print()


if __name__ == "__main__":
    main()
