#!/usr/bin/env python3
"""A table of docs/results.md: quantizes a model as every row of TABLE says and evaluates all of them.

    results.py TABLE MODEL_FOLDER TEXT_FOLDER [OUT_FOLDER]

TABLE is a file of scripts/tables/: the protocol, and a line of `halftone quantize` options for each row. TEXT_FOLDER holds
c4-sample.txt and wikitext2-test.raw.txt. Calibration takes the first 60 % of the characters of the C4 sample, evaluation its
last 40 %. OUT_FOLDER (default build/results/NAME_OF_TABLE) gets JSON files; rows that have theirs are not run again.
HALFTONE names the program (default build/halftone), DEVICE the device (default cpu).
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS_AT_ONCE = 8  # quantized models that wait on disk until they are evaluated together


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def split_sample(texts, out):
    text = (texts / "c4-sample.txt").read_text(encoding="utf-8")
    cut = int(len(text) * 0.6)
    (out / "c4-calibration.txt").write_text(text[:cut], encoding="utf-8")
    (out / "c4-heldout.txt").write_text(text[cut:], encoding="utf-8")


def halftone(*arguments):
    program = os.environ.get("HALFTONE", ROOT / "build/halftone")
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


class Table:
    def __init__(self, spec, model, texts, out):
        self.spec, self.model, self.out = spec, model, out
        self.device = os.environ.get("DEVICE", "cpu")
        self.texts = {"wikitext2": texts / "wikitext2-test.raw.txt", "c4": out / "c4-heldout.txt"}

    def quantize(self, name):
        row = self.spec["rows"][name].split()
        halftone("quantize", self.model, "--out", self.out / name, "--overwrite", "--device", self.device,
                 "--calibration", self.out / "c4-calibration.txt", "--sequences", self.spec["sequences"],
                 "--length", self.spec["length"], "--report", self.out / f"{name}.quantize.json",
                 *self.spec["options"].split(), *row)

    def evaluate(self, names):
        for text, path in self.texts.items():
            together = self.out / f"{text}.json"
            halftone("compare", self.model, *[self.out / name for name in names], "--text", path, "--device", self.device,
                     "--length", self.spec["evaluation"]["length"], "--windows", self.spec["evaluation"][text],
                     "--compute", self.spec["evaluation"]["compute"], "--json", together)
            for name, result in zip(["full precision", *names], read(together)):
                (self.out / f"{name}.{text}.json").write_text(json.dumps(result), encoding="utf-8")
            together.unlink()

    def run(self):
        waiting = [name for name in self.spec["rows"] if not (self.out / f"{name}.c4.json").exists()]
        for first in range(0, len(waiting), ROWS_AT_ONCE):
            names = waiting[first:first + ROWS_AT_ONCE]
            for name in names:
                if not ((self.out / name).exists() and (self.out / f"{name}.quantize.json").exists()):
                    print(f"quantize {name}", file=sys.stderr)
                    self.quantize(name)
            print("evaluate " + " ".join(names), file=sys.stderr)
            self.evaluate(names)
            for name in names:
                shutil.rmtree(self.out / name)

    def print(self):
        spec, evaluation = self.spec, self.spec["evaluation"]
        print(f"Calibration {spec['sequences']} x {spec['length']} tokens; evaluation in {evaluation['compute']}, WikiText-2 "
              f"{evaluation['wikitext2']} and held-out C4 {evaluation['c4']} windows of {evaluation['length']}.\n")
        print("| row | bits quoted / stored | WikiText-2 | held-out C4 | KL mean | KL p99 | top-1 % | seconds |")
        print("|---|---|---|---|---|---|---|---|")
        for name in ["full precision", *spec["rows"]]:
            if (self.out / f"{name}.c4.json").exists():
                print(row_text(self.out, name))


def with_error(estimate, scale=1):
    value, error = scale * estimate["value"], scale * estimate["stderr"]
    digits = 1 if value >= 100 or scale == 100 else 2
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def row_text(out, name):
    wiki, c4 = read(out / f"{name}.wikitext2.json"), read(out / f"{name}.c4.json")
    start = f"| {name} | {{}} | {with_error(wiki['perplexity'])} | {with_error(c4['perplexity'])} "
    if "kl" not in c4:
        return start.format(16) + "| 0 | 0 | 100 | |"
    bits, kl = wiki["bits_per_weight"], c4["kl"]
    return start.format(f"{bits['quoted']:.2f} / {bits['quantized']:.2f}") + (
        f"| {kl['mean']:.3f} ± {kl['stderr']:.3f} | {kl['p99']:.2f} | {with_error(c4['top1'], 100)} "
        f"| {read(out / f'{name}.quantize.json')['seconds']:.0f} |")


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    path = pathlib.Path(sys.argv[1])
    out = pathlib.Path(sys.argv[4]) if len(sys.argv) == 5 else ROOT / "build/results" / path.stem
    out.mkdir(parents=True, exist_ok=True)
    texts = pathlib.Path(sys.argv[3])
    split_sample(texts, out)
    table = Table(tomllib.loads(path.read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]), texts, out)
    table.run()
    table.print()


if __name__ == "__main__":
    main()
