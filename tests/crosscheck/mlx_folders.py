#!/usr/bin/env python3
"""Our `mlx` and `awq` folders in mlx-lm, and its folders in ours.

    tests/crosscheck/mlx_folders.py MODEL   MODEL: a folder of a family that mlx-lm knows, without experts
    HALFTONE=PROGRAM                        default build/halftone

Needs mlx 0.32.4 (on Linux mlx-cpu too) and mlx-lm 0.32.2. For each grid the weights of every linear, bit for bit, and the mean negative
log-likelihood of the same ids. Exit status 1 if weights differ or a mean is off by more than 5e-3.
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.convert import convert
from mlx_lm.utils import load_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))
TEXT = ROOT / "examples/tinystories-evaluation.txt"
LENGTH, WINDOWS, TOLERANCE = 64, 8, 5e-3  # within every attention window: mlx-lm passes over some
GRIDS = [("mlx", 4, 64, []), ("mlx", 2, 32, ["--set", "grid.symmetric=true"]), ("mlx", 3, 32, []), ("mlx", 5, 32, []), ("mlx", 6, 128, []),
         ("mlx", 8, 32, []), ("mlx", 4, 32, ["--embedding", "6"]), ("awq", 4, 64, []), ("awq", 4, 32, ["--set", "grid.symmetric=true"])]


class NotOfThisWidth(Exception):
    """The model's rows are no whole groups."""


def halftone(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)
    if "needs a multiple of the group" in done.stderr:
        raise NotOfThisWidth
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def tokens_of(model, folder):
    """The text's first ids, as a file for both."""
    path = folder / "text.tokens"
    ids = np.array(json.loads(halftone("tokenize", model, "--text", TEXT, "--json", "-"))["ids"][:LENGTH * WINDOWS], dtype="<i4")
    ids.tofile(path)
    return path, ids


def weights_in(folder):
    weights = {}
    for file in sorted(folder.glob("model*.safetensors")):
        weights.update(mx.load(str(file)))
    return weights


def differing_linears(folder, dense):
    """Linears of a folder whose weights MLX de-quantizes to something else than we do, and how many there are."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["quantization"]
    packed, ours = weights_in(folder), weights_in(dense)
    names = [name.removesuffix(".scales") for name in packed if name.endswith(".scales")]
    wrong = []
    for name in names:
        grid = config.get(name, config)
        theirs = mx.dequantize(packed[f"{name}.weight"], packed[f"{name}.scales"], packed[f"{name}.biases"], group_size=grid["group_size"],
                               bits=grid["bits"])
        if not mx.array_equal(theirs, ours[f"{name}.weight"]):
            wrong.append(name)
    return wrong, len(names)


def mean_nll(folder, ids):
    model, _ = load_model(folder)
    model.set_dtype(mx.float32)
    windows = mx.array(ids.reshape(WINDOWS, LENGTH))
    logits = model(windows)[:, :-1]
    return nn.losses.cross_entropy(logits, windows[:, 1:], reduction="mean").item()


def our_nll(folder, tokens):
    found = json.loads(halftone("evaluate", folder, "--text", tokens, "--length", LENGTH, "--compute", "float32", "--json", "-"))
    return math.log(found["perplexity"]["value"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    model, failed = pathlib.Path(sys.argv[1]), False

    def line(name, wrong, count, theirs, ours):
        nonlocal failed
        good = not wrong and abs(theirs - ours) <= TOLERANCE
        failed |= not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {count - len(wrong)} of {count} linears equal, NLL {theirs:.5f} there, {ours:.5f} here", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        tokens, ids = tokens_of(model, folder)

        def compare(name, out):
            dense = folder / "dense"
            halftone("convert", out, "--out", dense, "--format", "dense", "--overwrite")
            line(name, *differing_linears(out, dense), mean_nll(out, ids), our_nll(out, tokens))

        line("plain", [], 0, mean_nll(model, ids), our_nll(model, tokens))
        for kind, bits, group, options in GRIDS:
            out, name = folder / "out", f"{kind} {bits} bits, groups of {group} {' '.join(options)}"
            try:
                halftone("quantize", model, "--out", out, "--overwrite", "--no-check", "--recipe", "rtn", "--format", kind, "--bits", bits,
                         "--group-size", group, *options)
            except NotOfThisWidth:
                print(f"skip {name}: rows of another width")
                continue
            if kind == "mlx":
                compare(name, out)
            else:  # mlx-lm repacks it on its way in
                line(name, [], 0, mean_nll(out, ids), our_nll(out, tokens))
        for bits, group in ((4, 32), (3, 32)):
            theirs = folder / f"theirs-{bits}"
            try:
                convert(str(model), mlx_path=str(theirs), quantize=True, q_group_size=group, q_bits=bits)
            except ValueError as error:  # Granite of other widths than 64
                print(f"skip mlx-lm's own: {error}")
                continue
            compare(f"mlx-lm's own {bits} bits, groups of {group}", theirs)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
