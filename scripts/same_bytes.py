#!/usr/bin/env python3
"""Do two programs write the same bytes? For changes that may move code and no number.

    scripts/same_bytes.py OLD_PROGRAM NEW_PROGRAM [NAME...] [--shared DIR]

Quantizes the demo model, and babyllama of the shared data where that is there, by every recipe and by the combinations
whose runs tests/pipeline/resume_test.cpp interrupts, with both programs, and compares the folders file by file. NAME:
only the cases whose name holds it. Exit status 1 if one differs. The two programs must call themselves by one version.
"""
import argparse
import hashlib
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESUMED = [  # recipe, bits, format, settings: as in tests/pipeline/resume_test.cpp
    ("gptq", 3, "native", []),
    ("gptq", 4, "dense", []),
    ("gptq", 4, "compressed-tensors", ["grid.group_size=0"]),
    ("halftone", 3, "native", []),
    ("halftone", 3, "native", ["transform.online=true"]),
    ("qep-spqr", 3, "native", []),
    ("gptq", 3, "native", ["target.auto=true"]),
    ("spqr", 3, "native", []),
    ("precal-gptq", 3, "native", ["order.static_groups=false"]),
    ("billm", 1, "native", []),
    ("oac", 3, "native", ["objective.schedule=oneshot"]),
    ("oac-gptq", 3, "native", ["objective.schedule=blockwise"]),
    ("oac-gptq", 3, "native", ["objective.labels=sampled"]),
    ("guided", 3, "native", ["target.preshift=0.5"]),
]


def cases(shared):
    models = {"stories": (ROOT / "examples/stories260K", ROOT / "examples/tinystories-calibration.txt", 64)}
    babyllama = shared / "models/babyllama_tok105/hf"
    if babyllama.is_dir():
        models["babyllama"] = (babyllama, shared / "text/tinystories-sample.txt", 32)
    for model, (folder, text, group) in models.items():
        recipes = [(path.stem, 1 if "billm" in path.stem else 3, "native", []) for path in sorted((ROOT / "recipes").glob("*.toml"))]
        for recipe, bits, form, settings in recipes + (RESUMED if model == "stories" else []):
            name = "-".join([model, recipe, str(bits), form] + settings)
            options = ["--recipe", recipe, "--bits", str(bits), "--format", form, "--threads", "2"]
            options += ["--calibration", str(text), "--sequences", "8", "--length", "256"]
            for setting in [f"grid.group_size={group}"] + settings:
                options += ["--set", setting]
            yield name, folder, options


def hashes(program, model, options, out):
    run = subprocess.run([program, "quantize", str(model), "--out", str(out)] + options, capture_output=True, text=True)
    if run.returncode not in (0, 3) or not out.is_dir():  # 3: written, and collapsed by its self-check
        return {"failed": run.stderr.strip().splitlines()[-1:]}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT / "../shared/data")
    options = parser.parse_args()
    different = 0
    for name, model, arguments in cases(options.shared):
        if options.names and not any(wanted in name for wanted in options.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            old = hashes(options.old, model, arguments, pathlib.Path(folder) / "old")
            new = hashes(options.new, model, arguments, pathlib.Path(folder) / "new")
        if "failed" in old and "failed" not in new:
            verdict = f"new, where it failed: {old['failed']}"
        else:
            parts = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
            verdict = "same" if not parts else "DIFFERENT: " + ", ".join(f"{part} {new[part]}" if part == "failed" else part for part in parts)
            different += bool(parts)
        print(f"{name}: {verdict}", flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
