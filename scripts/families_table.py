#!/usr/bin/env python3
"""The table of families in docs/results.md: the rows of scripts/tables/families.toml on every model of ZOO, by their KL.

    families_table.py ZOO_FOLDER TEXT_FOLDER [OUT_FOLDER]

ZOO_FOLDER holds a folder for each model; those of images are passed over (scripts/vision_table.py). OUT_FOLDER (default
build/results/families) gets results.py's files of each; runs that have theirs are not run again. A cell is empty where the
program refuses the recipe for the model. HALFTONE, DEVICE and JOBS as in results.py.
"""
import contextlib
import pathlib
import sys
import tomllib

from results import ROOT, Table, read

SPEC = ROOT / "scripts/tables/families.toml"


def reads_text(model):
    return (model / "config.json").exists() and "ForImageClassification" not in (model / "config.json").read_text(encoding="utf-8")


def kl_of(table, row):
    if not table.is_done(row, row):
        return None
    return read(table.result(row, next(iter(table.texts))))["kl"]["mean"]


def print_width(width, names, tables):
    rows = [f"{width}, {name}" for name in names]
    print(f"\n| {width} bits | " + " | ".join(f"`{name}`" for name in names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for model, table in tables.items():
        found = [kl_of(table, row) for row in rows]
        best = min((kl for kl in found if kl is not None), default=None)
        cells = ["" if kl is None else f"**{kl:.3g}**" if kl == best else f"{kl:.3g}" for kl in found]
        print(f"| {model} | " + " | ".join(cells) + " |")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    zoo, texts = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out = pathlib.Path(sys.argv[3]) if len(sys.argv) == 4 else ROOT / "build/results/families"
    spec = tomllib.loads(SPEC.read_text(encoding="utf-8"))
    tables, failures = {}, []
    for model in filter(reads_text, sorted(zoo.iterdir())):
        (out / model.name).mkdir(parents=True, exist_ok=True)
        tables[model.name] = Table(spec, model, texts, out / model.name)
        with contextlib.redirect_stdout(sys.stderr):
            failures += tables[model.name].run()
    widths, names = (list(axis) for axis in spec["axes"])
    for width in widths:
        print_width(width, names, tables)
    if failures:
        print("\nfailed:\n" + "\n".join(failures), file=sys.stderr)


if __name__ == "__main__":
    main()
