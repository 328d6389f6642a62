#!/usr/bin/env python3
"""Our task scores of SmolLM2-135M-Instruct beside those of lm-evaluation-harness (golden/eval, float32, 40 items a task).

    tests/crosscheck/golden_tasks.py MODEL      MODEL: its Hugging Face folder
    HALFTONE=PROGRAM                            default build/halftone
    HALFTONE_SHARED_DATA=DIR                    default ../shared/data

The harness ran with the tokenizer of shared data, which adds a BOS: it stands in for the model's own here. Exit status 1 if a
log-likelihood is off by more than 1e-3 or a decision differs.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("HALFTONE_SHARED_DATA", ROOT.parent / "shared/data"))
PROGRAM = os.environ.get("HALFTONE", str(ROOT / "build/halftone"))
TASKS = ["piqa", "winogrande", "arc_easy", "arc_challenge", "hellaswag"]
TOLERANCE = 1e-3


def golden(task):
    path = SHARED / f"golden/eval/{task}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def prepare(model, folder):
    """The model with the golden tokenizer, and the data files; HellaSwag's from the rows that golden items keep."""
    (folder / "model").mkdir()
    for file in pathlib.Path(model).iterdir():
        if not file.name.startswith("tokenizer"):
            (folder / "model" / file.name).symlink_to(file.resolve())
    for file in (SHARED / "tokenizers/smollm2").iterdir():
        (folder / "model" / file.name).symlink_to(file.resolve())
    for file in (SHARED / "tasks").iterdir():
        if not file.name.startswith("hellaswag"):
            (folder / file.name).symlink_to(file.resolve())
    rows = [dict(row["source"], label=row["gold"]) for row in golden("hellaswag")]
    (folder / "hellaswag_val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def compare(task, items):
    """-> (largest difference, decisions that differ, whether all are as greedy)"""
    largest, differing, greedy = 0.0, 0, True
    for row in golden(task):
        item = items[row["doc"]]
        for i, request in enumerate(row["requests"]):
            largest = max(largest, abs(item["loglikelihoods"][i] - request["loglikelihood"]))
            greedy = greedy and item["is_greedy"][i] == request["is_greedy"]
        differing += any(name in row and item[name] != row[name] for name in ("acc", "acc_norm"))
    return largest, differing, greedy


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(sys.argv[1], folder)
        subprocess.run([PROGRAM, "evaluate", folder / "model", "--tasks", ",".join(TASKS), "--task-data", folder, "--limit", "40",
                        "--items", folder / "items.jsonl"], check=True)
        lines = [json.loads(line) for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    good = True
    for task in TASKS:
        items = {line["index"]: line for line in lines if line["task"] == task}
        largest, differing, greedy = compare(task, items)
        good = good and largest <= TOLERANCE and differing == 0 and greedy
        print(f"{task:14} {len(items)} items, largest difference {largest:.2e}, decisions that differ {differing}, "
              f"greedy {'alike' if greedy else 'not alike'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
