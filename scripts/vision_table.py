#!/usr/bin/env python3
"""The table of vision transformers in docs/results.md: quantizes MODEL by every recipe at every width, calibrated on the first images of a CIFAR-10
file, and evaluates on the rest.

    vision_table.py MODEL_FOLDER IMAGES.bin [CALIBRATION_IMAGES]      (default 512)

HALFTONE names the program (default build/halftone).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = 3073
BITS = (4, 3, 2)
ROWS = {
    "rtn": "--recipe rtn",
    "gptq": "--recipe gptq",
    "gptq, symmetric": "--recipe gptq --set grid.symmetric=true",
    "gptaq": "--recipe gptaq",
    "rescomp": "--recipe rescomp",
    "guided": "--recipe guided",
    "oac": "--recipe oac",
}


def main():
    model, images = sys.argv[1], pathlib.Path(sys.argv[2]).read_bytes()
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 512
    program = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))
    with tempfile.TemporaryDirectory() as folder:
        calibration, evaluation = pathlib.Path(folder, "calibration.bin"), pathlib.Path(folder, "evaluation.bin")
        calibration.write_bytes(images[:count * RECORD])
        evaluation.write_bytes(images[count * RECORD:])

        def run(*arguments):
            subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

        def evaluate(path, *more):
            report = pathlib.Path(folder, "report.json")
            run("evaluate", path, "--images", evaluation, "--json", report, *more)
            return json.loads(report.read_text())

        def row(name, found):
            def number(key, value="value", times=1.0, digits=2):
                return f"{times * found[key][value]:.{digits}f} ± {times * found[key]['stderr']:.{digits}f}" if key in found else "-"
            bits = found["bits_per_weight"]["quoted"]
            print(f"| {name} | {bits:.2f} | {number('accuracy', times=100)} | {number('kl', 'mean', digits=5)} | {number('top1', times=100)} |", flush=True)

        print("| recipe | bits | top-1 % | KL | same class % |\n|---|---|---|---|---|")
        row("full precision", evaluate(model))
        for bits in BITS:
            for name, options in ROWS.items():
                out = pathlib.Path(folder, "out")
                run("quantize", model, "--out", out, "--overwrite", "--format", "native", "--bits", bits, "--group-size", 0, "--calibration", calibration,
                    "--sequences", count, "--no-check", *options.split())
                row(f"`{name}` {bits} bits", evaluate(out, "--reference", model))


if __name__ == "__main__":
    main()
