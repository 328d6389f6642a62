#!/usr/bin/env python3
"""Which type llama.cpp's quantizer gives each matrix, for its usual names: tests/data/gguf/mix_types.json, on stdout.

  llama_mixes.py NAME=PLAIN.gguf... --library libllama.so      (see llama_stock.py for the library)

Nothing is quantized: the library says what it would do, as with an importance matrix.
"""
import argparse
import ctypes
import json
import os
import re
import sys

from llama_stock import MIXES, Importance, load_library

TENSOR = re.compile(r"\]\s+(?:blk\.(\d+)\.)?([a-z_]+)\.weight .*")
SIZE = re.compile(r"size = .* -> .* \((\w+)\)")


def types_of(lib, options, plain, lines):
    """tensor -> its type; of a block's tensor the types in all blocks"""
    lines.clear()
    if lib.llama_model_quantize(os.fsencode(plain), b"unused.gguf", ctypes.byref(options)) != 0:
        sys.exit(f"llama_mixes: llama.cpp refuses {plain}")
    types = {}
    for line in "".join(lines).split("\n"):
        tensor, size = TENSOR.search(line), SIZE.search(line)
        if tensor and size:
            types.setdefault(tensor.group(2), {})[int(tensor.group(1) or 0)] = size.group(1).upper()
    return {name: [of_block[i] for i in range(len(of_block))] for name, of_block in types.items()}


def shortened(types):
    """Lists of one type as that type."""
    return {name: found[0] if len(set(found)) == 1 else found for name, found in sorted(types.items())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=PLAIN.gguf")
    parser.add_argument("--library", required=True)
    arguments = parser.parse_args()
    lines = []
    lib, options, kept = load_library(arguments.library, lambda level, text: lines.append(text))
    importance = (Importance * 2)()
    importance[0].name, importance[0].size = b"none", 1
    importance[0].data = (ctypes.c_float * 1)(1.0)
    options.imatrix, options.dry_run = importance, True
    result = {}
    for model in arguments.models:
        name, plain = model.split("=", 1)
        result[name] = {}
        for mix, number in MIXES.items():
            options.ftype = number
            result[name][mix] = shortened(types_of(lib, options, plain, lines))
    models = [f'"{name}": {{\n  ' + ",\n  ".join(f'"{mix}": {json.dumps(types)}' for mix, types in mixes.items()) + "}"
              for name, mixes in result.items()]
    print("{" + ",\n ".join(models) + "}")


if __name__ == "__main__":
    main()
