"""Quantize language models to 1-4 bits with the least damage to their output.

Each function runs one command of the program (docs/interface.md). Its options are keyword arguments under their own
names, `group_size=64` for `--group-size 64`; the program itself checks them.

    import halftone
    halftone.quantize("models/llama", out="llama-w3", calibration="c4.txt", bits=3, group_size=64)
    print(halftone.evaluate("llama-w3", text="wiki.txt", reference="models/llama")["kl"])
"""

from ._commands import compare, convert, evaluate, generate, imatrix, inspect, load, plan, quantize, recipes, verify
from ._program import CheckFailed, Error, UsageError, require_torch, version

__all__ = [
    "CheckFailed",
    "Error",
    "UsageError",
    "compare",
    "convert",
    "evaluate",
    "generate",
    "imatrix",
    "inspect",
    "load",
    "plan",
    "quantize",
    "recipes",
    "verify",
    "version",
]

require_torch()
