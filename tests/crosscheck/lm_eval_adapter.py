#!/usr/bin/env python3
"""lm-evaluation-harness over `halftone.lm_eval` beside `halftone evaluate --tasks`: PIQA and ARC-easy, 40 items each.

    tests/crosscheck/lm_eval_adapter.py MODEL   MODEL: any that this program reads, a packed folder say
    HALFTONE_PROGRAM=PROGRAM                    default: the installed wheel's
    HALFTONE_SHARED_DATA=DIR                    default ../shared/data

Needs lm_eval 0.4.13 and transformers, and halftone on the path. Exit status 1 if a log-likelihood is off by more than 5e-3 or a decision
differs.
"""
import json
import os
import pathlib
import sys
import tempfile

import lm_eval
from lm_eval.tasks import TaskManager

import halftone
import halftone.lm_eval  # registers the model

SHARED = pathlib.Path(os.environ.get("HALFTONE_SHARED_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared/data")) / "tasks"
ITEMS, TOLERANCE = 40, 5e-3  # float32 in two libraries: 1.9e-3 was seen
CONFIG = """task: {name}_here
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {file}}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: choices
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


def rows_of(name):
    """(question, choices, index of the right one), as the harness's own preparation gives them."""
    if name == "piqa":
        labels = (SHARED / "piqa_valid_labels.lst").read_text().split()
        for line, label in zip((SHARED / "piqa_valid.jsonl").read_text().splitlines(), labels):
            row = json.loads(line)
            yield row["goal"], [row["sol1"], row["sol2"]], int(label)
    else:
        for line in (SHARED / "arc_easy_test.jsonl").read_text().splitlines():
            row = json.loads(line)
            yield row["question"], row["choices"], row["gold"]


def harness(model, folder):
    names = ["piqa", "arc_easy"]
    for name in names:
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps({"question": question, "choices": choices, "gold": gold}) + "\n"
                                for question, choices, gold in rows_of(name)))
        (folder / f"{name}.yaml").write_text(CONFIG.format(name=name, file=file))
    results = lm_eval.simple_evaluate(model="halftone", model_args={"pretrained": model, "dtype": "float32"}, device="cpu", batch_size=1,
                                      tasks=[f"{name}_here" for name in names], limit=ITEMS, bootstrap_iters=0, log_samples=True,
                                      task_manager=TaskManager(include_path=str(folder), include_defaults=False))
    return {name: {sample["doc_id"]: sample for sample in results["samples"][f"{name}_here"]} for name in names}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        items = folder / "items.jsonl"
        halftone.evaluate(sys.argv[1], tasks=["piqa", "arc_easy"], task_data=SHARED, limit=ITEMS, items=items, progress=None)
        theirs, failed = harness(sys.argv[1], folder), False
        ours = [json.loads(line) for line in items.read_text().splitlines()]
    for task, samples in theirs.items():
        largest, differing, compared = 0.0, 0, 0
        for item in ours:
            if item.get("task") != task:
                continue
            sample, compared = samples[item["index"]], compared + 1
            found = [float(response[0][0]) for response in sample["resps"]]
            largest = max([largest] + [abs(one - other) for one, other in zip(item["loglikelihoods"], found, strict=True)])
            differing += any(item[metric] != sample[metric] for metric in ("acc", "acc_norm"))
        failed |= compared != ITEMS or differing > 0 or largest > TOLERANCE
        print(f"{task}: {compared} items, {differing} decisions differ, log-likelihoods within {largest:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
