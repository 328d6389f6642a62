#!/usr/bin/env python3
"""Prints the Markdown table of docs/results.md from the JSON files that scripts/results.sh wrote.

    results_table.py FOLDER
"""
import json
import pathlib
import sys


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def with_error(estimate, digits):
    return f"{estimate['value']:.{digits}f} ± {estimate['stderr']:.{digits}f}"


def rows(folder):
    for path in sorted(folder.glob("*.quantize.json")):
        name = path.name.removesuffix(".quantize.json")
        quantize, wiki, c4 = read(path), read(folder / f"{name}.wikitext2.json"), read(folder / f"{name}.c4.json")
        bits = wiki["bits_per_weight"]
        yield bits["quoted"], (
            f"| {name} | {bits['quoted']:.2f} / {bits['quantized']:.2f} | {with_error(wiki['perplexity'], 2)} "
            f"| {with_error(c4['perplexity'], 2)} | {c4['kl']['mean']:.3f} ± {c4['kl']['stderr']:.3f} "
            f"| {c4['kl']['p99']:.2f} | {100 * c4['top1']['value']:.1f} % | {quantize['seconds']:.0f} |")


def main():
    folder = pathlib.Path(sys.argv[1])
    print("| recipe-bits | bits quoted / stored | WikiText-2 | held-out C4 | KL mean (C4) | KL p99 | top-1 | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for _, row in sorted(rows(folder), key=lambda pair: -pair[0]):
        print(row)


if __name__ == "__main__":
    main()
