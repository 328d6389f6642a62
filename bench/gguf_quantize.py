#!/usr/bin/env python3
"""What quantizing to GGUF's types costs beside a GPTQ run at groups of 32, and beside llama.cpp's own quantizer.

    bench/gguf_quantize.py MODEL CALIBRATION [--types Q4_K IQ2_XS] [--rounds 3] [--sequences 16] [--length 512] [--threads 2]
    HALFTONE=PROGRAM                            default build/halftone
    LLAMA_LIBRARY=libllama.so                   without it llama.cpp is left out (tests/crosscheck/llama_stock.py)

MODEL: a Hugging Face folder of widths in multiples of 256. Recipe `gptq` throughout; every round runs each once. Prints seconds of every
round and the ratio of the least ones. llama.cpp's quantizer compensates no errors and is given its importance matrix ready-made.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))
LIBRARY = os.environ.get("LLAMA_LIBRARY")


def timed(words):
    start = time.perf_counter()
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def runs(options, work):
    """What is timed, by its name."""
    ours = [PROGRAM, "quantize", options.model, "--recipe", "gptq", "--calibration", options.calibration, "--sequences", options.sequences,
            "--length", options.length, "--threads", options.threads, "--overwrite", "--out"]
    yield "gptq g32", ours + [work / "gptq", "--bits", 4, "--group-size", 32, "--format", "native"]
    for kind in options.types:
        yield kind, ours + [work / f"{kind}.gguf", "--type", kind]
    if LIBRARY:
        timed([PROGRAM, "convert", options.model, "--out", work / "plain.gguf", "--format", "gguf"])
        timed([PROGRAM, "imatrix", options.model, "--out", work / "imatrix.gguf", "--calibration", options.calibration,
               "--sequences", options.sequences, "--length", options.length])
        for kind in options.types:
            yield f"llama.cpp {kind}", [sys.executable, ROOT / "tests/crosscheck/llama_stock.py", work / "plain.gguf", work / "stock.gguf",
                                        kind, "--library", LIBRARY, "--imatrix", work / "imatrix.gguf"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("calibration")
    parser.add_argument("--types", nargs="+", default=["Q4_K", "IQ2_XS"])
    for name, default in (("rounds", 3), ("sequences", 16), ("length", 512), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = list(runs(options, pathlib.Path(folder)))
        for number in range(options.rounds):
            for name, words in commands:
                seconds.setdefault(name, []).append(timed(words))
            print(f"round {number}: " + ", ".join(f"{name} {each[-1]:.2f} s" for name, each in seconds.items()), flush=True)
    least = {name: min(each) for name, each in seconds.items()}
    print(json.dumps({name: round(each / least["gptq g32"], 3) for name, each in least.items()}), "times a gptq run at groups of 32")


if __name__ == "__main__":
    main()
