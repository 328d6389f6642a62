"""Perplexity of a folder with transformers on the CPU; prints one JSON line with its cost.

Disjoint windows without special tokens, the tail dropped, exp of the mean over length - 1 targets:
the protocol of `halftone evaluate`.
"""

import argparse
import json
import math
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from usage import Usage  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "crosscheck"))
from scoring import read_windows, window_nll  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(arguments.model,
                                                 dtype=getattr(torch, arguments.dtype)).eval()
    windows = read_windows(arguments.tokens, arguments.length, arguments.windows)
    with Usage() as usage:
        losses = [window_nll(model, window, torch.float32) for window in windows]
    mean = statistics.fmean(losses)
    print(json.dumps({"peer": "transformers", "version": version("transformers"),
                      "dtype": arguments.dtype, "threads": arguments.threads,
                      "length": arguments.length, "windows": len(losses),
                      "tokens": windows.numel(), "perplexity": math.exp(mean),
                      "tokens_per_cpu_second": round(windows.numel() / usage.cpu, 1),
                      **usage.as_dict()}))


if __name__ == "__main__":
    main()
