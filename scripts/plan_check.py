#!/usr/bin/env python3
"""What `halftone plan` says of runs beside what they take: memory and time, and the median error of each.

    plan_check.py MODEL CALIBRATION "OPTIONS"...        OPTIONS of quantize: "--recipe gptq --bits 3 --sequences 16 --length 1024 --no-check"

HALFTONE names the program (default build/halftone). Times mean something on a machine that has nothing else to do.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))


def measured(model, calibration, options, folder):
    """(planned, report) of one run; its output is not kept."""
    shared = [model, "--calibration", calibration, *options]
    planned = subprocess.run([PROGRAM, "plan", *shared, "--json", "-"], check=True, capture_output=True, text=True).stdout
    report = pathlib.Path(folder) / "report.json"
    out = pathlib.Path(folder) / ("out.gguf" if "--mix" in options or "--type" in options else "out")
    subprocess.run([PROGRAM, "quantize", *shared, "--out", out, "--overwrite", "--report", report], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return json.loads(planned), json.loads(report.read_text(encoding="utf-8"))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    model, calibration, *rows = sys.argv[1:]
    errors = {"memory": [], "time": []}
    print("| options | MiB planned | measured | s planned | measured |\n|---|---|---|---|---|")
    for row in rows:
        with tempfile.TemporaryDirectory(prefix="halftone-plan-check-") as folder:
            planned, report = measured(model, calibration, row.split(), folder)
        memory = planned["peak_bytes"], report["peak_rss_bytes"]
        seconds = planned["seconds"], report["seconds"]
        print(f"| `{row}` | {memory[0] / 2**20:.0f} | {memory[1] / 2**20:.0f} | {seconds[0]:.0f} | {seconds[1]:.0f} |", flush=True)
        for name, (expected, actual) in {"memory": memory, "time": seconds}.items():
            errors[name].append(abs(expected / actual - 1))
    print("\nmedian error: " + ", ".join(f"{name} {statistics.median(each):.0%}" for name, each in errors.items()))


if __name__ == "__main__":
    main()
